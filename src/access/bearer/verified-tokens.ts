import { createHash } from 'node:crypto';
import { WeightedLru } from '#lib/weighted-lru';

interface Entry<Value> {
  readonly value: Value;
  readonly untilMs: number;
  readonly generation: number;
}

const REMEMBER_MS = 60_000;
const ENTRIES_MAX = 5000;

/**
 * Tokens that were verified a short while ago: clients send the same one with each request. Held by their digest,
 * until they expire, for a minute at most, and only while the keys stay the same.
 */
export class VerifiedTokens<Value> {
  #entries = new WeightedLru<string, Entry<Value>>(ENTRIES_MAX);

  find(token: string, generation: number, nowMs: number): Value | null {
    const name = digestOf(token);
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    if (entry.generation === generation && entry.untilMs > nowMs) return entry.value;
    this.#entries.delete(name);
    return null;
  }

  /** `expiryMs`: when the token expires; `null`: never. */
  remember(
    token: string,
    value: Value,
    times: { generation: number; nowMs: number; expiryMs: number | null },
  ): void {
    const { generation, nowMs, expiryMs } = times;
    const untilMs = Math.min(nowMs + REMEMBER_MS, expiryMs ?? Number.POSITIVE_INFINITY);
    this.#entries.set(digestOf(token), { value, untilMs, generation });
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
