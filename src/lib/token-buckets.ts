/**
 * Counts how much of a rate is used, by key: a bucket for each, filled at the rate, that holds what comes in a second.
 *
 * Owns: the buckets, bounded in number; the longest unused is forgotten first, and begins full when it comes again.
 */

export interface TokenRequest {
  readonly key: string;
  readonly ratePerSecond: number;
  /** How many are wanted at once; fewer are given where fewer are there. */
  readonly count: number;
}

export interface TokenGrant {
  readonly granted: number;
  /** What is left after it, in whole tokens. */
  readonly remaining: number;
  /** 0 where something was granted. */
  readonly retryAfterMs: number;
}

/** Where rates are counted: in this process or, over a socket, in the keeper's. */
export interface RateDesk {
  takeTokens(request: TokenRequest): Promise<TokenGrant>;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

const BUCKETS_MAX = 50_000;
/** What is told to wait for a rate of 0. */
const NEVER_MS = 3_600_000;

export class TokenBuckets implements RateDesk {
  #buckets = new Map<string, Bucket>();
  #now: () => number;

  /** `now` gives milliseconds that only grow. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  async takeTokens(request: TokenRequest): Promise<TokenGrant> {
    return this.take(request);
  }

  take({ key, ratePerSecond, count }: TokenRequest): TokenGrant {
    const nowMs = this.#now();
    const bucket = this.#buckets.get(key) ?? { tokens: ratePerSecond, filledMs: nowMs };
    const filled = bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * ratePerSecond;
    bucket.tokens = Math.min(ratePerSecond, filled);
    bucket.filledMs = nowMs;
    this.#keep(key, bucket);
    const granted = Math.min(count, Math.floor(bucket.tokens));
    bucket.tokens -= granted;
    const retryAfterMs = granted > 0 ? 0 : waitMs(bucket.tokens, ratePerSecond);
    return { granted, remaining: Math.floor(bucket.tokens), retryAfterMs };
  }

  #keep(key: string, bucket: Bucket): void {
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size <= BUCKETS_MAX) return;
    const oldest = this.#buckets.keys().next();
    if (oldest.done !== true) this.#buckets.delete(oldest.value);
  }
}

function waitMs(tokens: number, ratePerSecond: number): number {
  return ratePerSecond > 0 ? Math.ceil(((1 - tokens) / ratePerSecond) * 1000) : NEVER_MS;
}
