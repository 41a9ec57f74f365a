import { WeightedLru } from '#lib/weighted-lru';
import type { PasswordSource } from './password-source.ts';

/** What is seen of a user's stored passwords in all sources; `isBlind` when one of them shows nothing. */
export interface Stamp {
  readonly text: string;
  readonly isBlind: boolean;
}

interface Wrong {
  readonly stamp: string;
  readonly untilMs: number;
}

const ENTRIES_MAX = 10_000;
const REMEMBER_MS = 300_000;
/** Where nobody tells of changes: a user who has just got a password may try it again soon. */
const REMEMBER_BLINDLY_MS = 10_000;

/**
 * Credentials that were wrong a short while ago. A program that was not told of a new password comes again and again;
 * to look at it each time would cost as much as an attack. Held by the same keyed hash as right ones.
 */
export class WrongCredentials {
  #sources: readonly PasswordSource[];
  #entries = new WeightedLru<string, Wrong>(ENTRIES_MAX);

  constructor(sources: readonly PasswordSource[]) {
    this.#sources = sources;
  }

  /** To be taken before a password is verified, and handed in with its being wrong. */
  stampOf(username: string): Stamp {
    const stamps = this.#sources.map((source) => source.stampOf(username));
    return { text: stamps.join(' '), isBlind: stamps.includes(null) };
  }

  remember(tag: string, stamp: Stamp): void {
    const untilMs = performance.now() + (stamp.isBlind ? REMEMBER_BLINDLY_MS : REMEMBER_MS);
    this.#entries.set(tag, { stamp: stamp.text, untilMs });
  }

  has(tag: string, username: string): boolean {
    const entry = this.#entries.get(tag);
    if (entry === undefined) return false;
    if (entry.untilMs > performance.now() && entry.stamp === this.stampOf(username).text) return true;
    this.#entries.delete(tag);
    return false;
  }
}
