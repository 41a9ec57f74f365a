/**
 * The limits of requests (`http.ratelimit`), for one generation of the configuration.
 *
 * What is used of a rate is counted in the keeper, for all serving processes together. A serving process takes a few
 * tokens at once and spends them by itself, and remembers refusals until they end, so that neither a busy client nor
 * a flood asks the keeper for each request. Tokens that are not spent within a second are lost, so that a client gets
 * up to a tenth less than its rate, never more. While the keeper does not answer, each process counts its share.
 */
import type { Config } from '#config';
import { addressGroup } from '#lib/address-group';
import { TokenBuckets } from '#lib/token-buckets';
import type { RateDesk, TokenGrant } from '#lib/token-buckets';

export interface RateVerdict {
  readonly allowed: boolean;
  readonly ratePerSecond: number;
  readonly remaining: number;
  readonly retryAfterMs: number;
}

interface Lease {
  tokens: number;
  /** What the keeper had left when it gave them. */
  left: number;
  endsMs: number;
  refusedUntilMs: number;
}

interface Rule {
  readonly name: string;
  readonly ratePerSecond: number;
}

const LEASES_MAX = 20_000;
const LEASE_MS = 1000;
/** Of a second's rate, how many parts are taken at once by all processes together. */
const LEASES_PER_SECOND = 20;
const KEEPER_PATIENCE_MS = 250;

export class RateLimiter {
  #all: Rule | null;
  #ofMethods: ReadonlyMap<string, Rule>;
  #ofUsers: Rule | null;
  #desk: RateDesk;
  #workers: number;
  #own = new TokenBuckets();
  #leases = new Map<string, Lease>();

  constructor({ http }: Config, desk: RateDesk) {
    const { rate, methods, perUser } = http.ratelimit ?? { rate: undefined, methods: [], perUser: undefined };
    this.#all = rate === undefined ? null : { name: 'all', ratePerSecond: rate };
    this.#ofMethods = new Map(
      methods.map((one) => [
        one.method.toUpperCase(),
        { name: one.method.toUpperCase(), ratePerSecond: one.rate },
      ]),
    );
    this.#ofUsers = perUser === undefined ? null : { name: 'user', ratePerSecond: perUser };
    this.#desk = desk;
    this.#workers = http.workers;
  }

  /** Whether any limit is set. */
  static isConfigured({ http }: Config): boolean {
    const { ratelimit } = http;
    if (ratelimit === undefined) return false;
    return ratelimit.rate !== undefined || ratelimit.perUser !== undefined || ratelimit.methods.length > 0;
  }

  /** Counts a request of an address; `null` where no limit is for it. The verdict of the limit that is nearest. */
  async admitAddress(address: string, method: string): Promise<RateVerdict | null> {
    const group = addressGroup(address);
    const rules = [this.#all, this.#ofMethods.get(method) ?? null].filter((rule) => rule !== null);
    let nearest: RateVerdict | null = null;
    for (const rule of rules) {
      const verdict = await this.#take(`${rule.name} ${group}`, rule.ratePerSecond);
      if (!verdict.allowed) return verdict;
      if (nearest === null || verdict.remaining < nearest.remaining) nearest = verdict;
    }
    return nearest;
  }

  /** Counts a request of somebody who has signed in; `null` where no limit is for it. */
  async admitUser(username: string): Promise<RateVerdict | null> {
    if (this.#ofUsers === null || username === '') return null;
    return this.#take(`${this.#ofUsers.name} ${username}`, this.#ofUsers.ratePerSecond);
  }

  async #take(key: string, ratePerSecond: number): Promise<RateVerdict> {
    const nowMs = performance.now();
    const lease = this.#leases.get(key) ?? { tokens: 0, left: 0, endsMs: 0, refusedUntilMs: 0 };
    this.#keep(key, lease);
    if (lease.refusedUntilMs > nowMs) return refusal(ratePerSecond, lease.refusedUntilMs - nowMs);
    if (lease.tokens > 0 && lease.endsMs > nowMs) {
      lease.tokens -= 1;
      return { allowed: true, ratePerSecond, remaining: lease.left + lease.tokens, retryAfterMs: 0 };
    }
    const grant = await this.#ask(key, ratePerSecond);
    if (grant.granted === 0) {
      lease.refusedUntilMs = performance.now() + grant.retryAfterMs;
      return refusal(ratePerSecond, grant.retryAfterMs);
    }
    lease.tokens = grant.granted - 1;
    lease.left = grant.remaining;
    lease.endsMs = performance.now() + LEASE_MS;
    return { allowed: true, ratePerSecond, remaining: lease.left + lease.tokens, retryAfterMs: 0 };
  }

  async #ask(key: string, ratePerSecond: number): Promise<TokenGrant> {
    const workers = this.#workers;
    const count = workers === 1 ? 1 : Math.max(1, Math.floor(ratePerSecond / (LEASES_PER_SECOND * workers)));
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), KEEPER_PATIENCE_MS);
    const asked = this.#desk.takeTokens({ key, ratePerSecond, count }).catch(unavailable);
    const grant = await Promise.race([asked, late.promise]);
    clearTimeout(timer);
    return grant ?? this.#own.take({ key, ratePerSecond: Math.max(1, ratePerSecond / workers), count: 1 });
  }

  #keep(key: string, lease: Lease): void {
    this.#leases.delete(key);
    this.#leases.set(key, lease);
    if (this.#leases.size <= LEASES_MAX) return;
    const oldest = this.#leases.keys().next();
    if (oldest.done !== true) this.#leases.delete(oldest.value);
  }
}

function refusal(ratePerSecond: number, retryAfterMs: number): RateVerdict {
  return { allowed: false, ratePerSecond, remaining: 0, retryAfterMs };
}

/** A keeper that is away says so on every other path; here its absence only means that each process counts alone. */
function unavailable(): null {
  return null;
}
