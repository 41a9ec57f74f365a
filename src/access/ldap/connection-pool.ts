import type { LdapConnection } from './ldap-connection.ts';

/** No connection became free in time. */
export class PoolExhausted extends Error {}

export interface PoolOptions {
  readonly open: () => Promise<LdapConnection>;
  readonly sizeMax: number;
}

interface Idle {
  readonly connection: LdapConnection;
  readonly sinceMs: number;
}

const IDLE_MAX_MS = 60_000;
const WAIT_MAX_MS = 5000;
const WAITING_MAX = 200;

/**
 * Connections to a directory that are used by one sign-in at a time, several at once. The longest unused are closed;
 * whoever finds all in use waits, within bounds.
 */
export class ConnectionPool {
  #options: PoolOptions;
  #idle: Idle[] = [];
  #inUse = 0;
  #waiting: ((free: boolean) => void)[] = [];
  #sweep: NodeJS.Timeout;
  #closed = false;
  /** Connections of an older generation are closed when they come back. */
  #generation = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#closeIdle(performance.now() - IDLE_MAX_MS), IDLE_MAX_MS / 4);
    this.#sweep.unref();
  }

  /**
   * Runs work on a connection. One that ends under it is not used again; when it was an old one, which the directory
   * may have closed meanwhile, the work is run once more on a new one.
   */
  async use<Result>(work: (connection: LdapConnection) => Promise<Result>): Promise<Result> {
    await this.#turn();
    try {
      const kept = this.#takeIdle();
      if (kept !== null) {
        const done = await this.#run(kept, work);
        if (done.kind === 'done') return done.result;
        if (kept.isUsable) throw done.error;
      }
      const done = await this.#run(await this.#options.open(), work);
      if (done.kind === 'done') return done.result;
      throw done.error;
    } finally {
      this.#inUse -= 1;
      this.#waiting.shift()?.(true);
    }
  }

  async #run<Result>(
    connection: LdapConnection,
    work: (connection: LdapConnection) => Promise<Result>,
  ): Promise<{ kind: 'done'; result: Result } | { kind: 'failed'; error: unknown }> {
    const generation = this.#generation;
    try {
      const result = await work(connection);
      return { kind: 'done', result };
    } catch (error) {
      return { kind: 'failed', error };
    } finally {
      const isKept = connection.isUsable && !this.#closed && generation === this.#generation;
      if (isKept) this.#idle.push({ connection, sinceMs: performance.now() });
      else connection.close();
    }
  }

  async #turn(): Promise<void> {
    if (this.#closed) throw new PoolExhausted('the directory is no longer asked');
    if (this.#inUse < this.#options.sizeMax) {
      this.#inUse += 1;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) throw new PoolExhausted('too many wait for the directory');
    const turn = Promise.withResolvers<boolean>();
    this.#waiting.push(turn.resolve);
    const timer = setTimeout(() => turn.resolve(false), WAIT_MAX_MS);
    const isFree = await turn.promise;
    clearTimeout(timer);
    if (!isFree) {
      this.#waiting = this.#waiting.filter((resolve) => resolve !== turn.resolve);
      throw new PoolExhausted('the directory is too slow');
    }
    this.#inUse += 1;
  }

  #takeIdle(): LdapConnection | null {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.connection.isUsable) return kept.connection;
    }
    return null;
  }

  /** Lets go of all connections, so that new ones are opened: the credentials have changed. */
  renew(): void {
    this.#generation += 1;
    this.#closeIdle(Number.POSITIVE_INFINITY);
  }

  #closeIdle(beforeMs: number): void {
    for (const { connection, sinceMs } of this.#idle) if (sinceMs <= beforeMs) connection.close();
    this.#idle = this.#idle.filter(({ sinceMs }) => sinceMs > beforeMs);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#closeIdle(Number.POSITIVE_INFINITY);
    for (const resolve of this.#waiting.splice(0)) resolve(false);
  }
}
