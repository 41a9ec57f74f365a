/**
 * Counts failed attempts (of signing in) by subject and address, and says how long the next one has to wait.
 *
 * Owns: counts by (subject, address), counts by address, and the credentials that were right or wrong before. All are
 * bounded in number, the longest unused are forgotten first, and live in one process only.
 *
 * An attacker is slowed down, nobody is locked out: delays end, and whoever comes with credentials that were right
 * within the last day is not delayed at all, whatever others do from the same address or to the same name. The same
 * wrong credentials again are no new guess, and not counted: a program that was not told of a new password delays
 * nobody.
 */

export interface Attempt {
  readonly subject: string;
  readonly address: string;
  /** A keyed hash of subject and secret, the same in every process; never the secret. */
  readonly credential: string;
}

export type Admission =
  /** `known`: the same credentials were right before. */
  | { readonly admitted: true; readonly known: boolean }
  | { readonly admitted: false; readonly retryAfterMs: number };

/** `undecided`: it could not be found out, which counts for nothing. */
export type AttemptOutcome = 'right' | 'wrong' | 'undecided';

/** Where attempts are counted: in this process or, over a socket, in the keeper's. */
export interface AttemptDesk {
  admitAttempt(attempt: Attempt): Promise<Admission>;
  /** Every admitted attempt is settled once. */
  settleAttempt(attempt: Attempt, outcome: AttemptOutcome): Promise<void>;
}

interface Limits {
  /** Failures that cost nothing. */
  readonly free: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

interface Count {
  failures: number;
  underWay: number;
  blockedUntilMs: number;
  lastMs: number;
}

const BY_PAIR: Limits = { free: 5, firstDelayMs: 1000, longestDelayMs: 300_000 };
/** Many people may share an address: more is free, and the longest delay is one that they can wait for. */
const BY_ADDRESS: Limits = { free: 50, firstDelayMs: 250, longestDelayMs: 10_000 };
/** Attempts under way at once while nothing has failed: parallel pulls of one client in several processes. */
const UNDER_WAY_MAX = 64;
/** Counts without a new failure are forgotten. */
const FORGET_MS = 15 * 60_000;
const KNOWN_MS = 24 * 3_600_000;
const ENTRIES_MAX = 20_000;

export class AttemptLedger implements AttemptDesk {
  #byPair = new Map<string, Count>();
  #byAddress = new Map<string, Count>();
  #known = new Map<string, number>();
  #wrong = new Map<string, number>();
  #now: () => number;

  /** `now` gives milliseconds that only grow. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  async admitAttempt(attempt: Attempt): Promise<Admission> {
    const nowMs = this.#now();
    if (this.#isKnown(attempt.credential, nowMs)) return { admitted: true, known: true };
    const pair = fresh(this.#byPair.get(pairOf(attempt)), nowMs);
    const address = fresh(this.#byAddress.get(attempt.address), nowMs);
    const waitMs = Math.max(waitOf(pair, BY_PAIR, nowMs), waitOf(address, BY_ADDRESS, nowMs));
    if (waitMs > 0) return { admitted: false, retryAfterMs: waitMs };
    pair.underWay += 1;
    address.underWay += 1;
    keep(this.#byPair, pairOf(attempt), pair);
    keep(this.#byAddress, attempt.address, address);
    return { admitted: true, known: false };
  }

  async settleAttempt(attempt: Attempt, outcome: AttemptOutcome): Promise<void> {
    const nowMs = this.#now();
    const pair = this.#byPair.get(pairOf(attempt));
    const address = this.#byAddress.get(attempt.address);
    for (const count of [pair, address])
      if (count !== undefined) count.underWay = Math.max(0, count.underWay - 1);
    if (outcome === 'undecided') return;
    if (outcome === 'right') {
      this.#byPair.delete(pairOf(attempt));
      keep(this.#known, attempt.credential, nowMs + KNOWN_MS);
      return;
    }
    this.#known.delete(attempt.credential);
    if ((this.#wrong.get(attempt.credential) ?? 0) > nowMs) return;
    keep(this.#wrong, attempt.credential, nowMs + FORGET_MS);
    keep(this.#byPair, pairOf(attempt), failed(fresh(pair, nowMs), BY_PAIR, nowMs));
    keep(this.#byAddress, attempt.address, failed(fresh(address, nowMs), BY_ADDRESS, nowMs));
  }

  #isKnown(credential: string, nowMs: number): boolean {
    return (this.#known.get(credential) ?? 0) > nowMs;
  }
}

function pairOf({ subject, address }: Attempt): string {
  return `${address} ${subject}`;
}

function fresh(count: Count | undefined, nowMs: number): Count {
  if (count !== undefined && nowMs - count.lastMs < FORGET_MS) return count;
  return { failures: 0, underWay: 0, blockedUntilMs: 0, lastMs: nowMs };
}

/** How long until the next attempt may be made; beyond the free ones they are made one after the other. */
function waitOf(count: Count, limits: Limits, nowMs: number): number {
  const mayRun = count.failures < limits.free ? UNDER_WAY_MAX : 1;
  const turnMs = count.underWay >= mayRun ? limits.firstDelayMs : 0;
  return Math.max(count.blockedUntilMs - nowMs, turnMs, 0);
}

function failed(count: Count, limits: Limits, nowMs: number): Count {
  count.failures += 1;
  count.lastMs = nowMs;
  const beyond = count.failures - limits.free;
  if (beyond >= 0) {
    const delayMs = Math.min(limits.longestDelayMs, limits.firstDelayMs * 2 ** Math.min(beyond, 30));
    count.blockedUntilMs = nowMs + delayMs;
  }
  return count;
}

/** Puts an entry at the young end, and forgets the oldest beyond the bound. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= ENTRIES_MAX) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}
