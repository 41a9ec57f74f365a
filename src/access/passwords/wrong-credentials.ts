import type { PasswordSource } from './password-source.ts';
import type { SignInMemory } from './sign-in-memory.ts';

/** What is seen of a user's stored passwords in all sources; `isBlind` when one of them shows nothing. */
export interface Stamp {
  readonly text: string;
  readonly isBlind: boolean;
}

const REMEMBER_MS = 300_000;
/** Where nobody tells of changes: a user who has just got a password may try it again soon. */
const REMEMBER_BLINDLY_MS = 10_000;

/**
 * Credentials that were wrong a short while ago. A program that was not told of a new password comes again and again;
 * to look at it each time would cost as much as an attack. Held by the same keyed hash as right ones.
 */
export class WrongCredentials {
  #sources: readonly PasswordSource[];
  #memory: SignInMemory;

  constructor(sources: readonly PasswordSource[], memory: SignInMemory) {
    this.#sources = sources;
    this.#memory = memory;
  }

  /** To be taken before a password is verified, and handed in with its being wrong. */
  stampOf(username: string): Stamp {
    const stamps = this.#sources.map((source) => [source.id, source.stampOf(username)]);
    return { text: JSON.stringify(stamps), isBlind: stamps.some(([, stamp]) => stamp === null) };
  }

  remember(tag: string, stamp: Stamp): void {
    const untilMs = this.#memory.now() + (stamp.isBlind ? REMEMBER_BLINDLY_MS : REMEMBER_MS);
    this.#memory.wrong.set(tag, { stamp: stamp.text, untilMs });
  }

  has(tag: string, username: string): boolean {
    const entry = this.#memory.wrong.get(tag);
    if (entry === undefined) return false;
    if (entry.untilMs > this.#memory.now() && entry.stamp === this.stampOf(username).text) return true;
    this.#memory.wrong.delete(tag);
    return false;
  }
}
