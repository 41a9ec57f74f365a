import { createHmac, hash, randomBytes } from 'node:crypto';
import type { BasicCredentials } from './basic-credentials.ts';

export interface Remembered<Value> {
  readonly value: Value;
  /** Most of its time is over: to be verified again while it still counts. */
  readonly isAging: boolean;
}

interface Entry<Value> {
  readonly value: Value;
  readonly untilMs: number;
}

const REMEMBER_MS = 60_000;
const AGING_SHARE = 0.25;
const ENTRIES_MAX = 10_000;

/**
 * Credentials that were verified a short while ago, since verifying is slow on purpose. Held under a hash with a key
 * that only this process has, never as they are; bounded in time and number.
 */
export class CredentialCache<Value> {
  #key = randomBytes(32).toString('base64');
  #entries = new Map<string, Entry<Value>>();
  #now: () => number;

  /** `now` gives milliseconds that only grow. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The name under which credentials are held: asked for by every request, so in one call, five times as fast as an
   * HMAC. What an HMAC has beyond a hash with the key in front is of use only where others see the result.
   */
  tag({ username, password }: BasicCredentials): string {
    return hash('sha256', `${this.#key} ${username.length} ${username}\0${password}`, 'base64url');
  }

  /** The name of a header in which credentials came; never that of credentials, whose own begins with a number. */
  tagOfHeader(header: string): string {
    return hash('sha256', `${this.#key} header ${header}`, 'base64url');
  }

  find(tag: string): Remembered<Value> | null {
    const entry = this.#entries.get(tag);
    if (entry === undefined) return null;
    const leftMs = entry.untilMs - this.#now();
    if (leftMs <= 0) {
      this.#entries.delete(tag);
      return null;
    }
    return { value: entry.value, isAging: leftMs < REMEMBER_MS * AGING_SHARE };
  }

  remember(tag: string, value: Value): void {
    this.#entries.delete(tag);
    this.#entries.set(tag, { value, untilMs: this.#now() + REMEMBER_MS });
    if (this.#entries.size <= ENTRIES_MAX) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }

  forget(tag: string): void {
    this.#entries.delete(tag);
  }
}

/** A keyed hash of credentials; the length in front keeps name and password apart. */
export function credentialTag(key: Buffer, { username, password }: BasicCredentials): string {
  return createHmac('sha256', key).update(`${username.length} ${username}\0${password}`).digest('base64url');
}
