import type { Access } from '#access';
import type { Config } from '#config';
import type { Prepared } from '#lib/prepared';
import type { TrustedProxies } from './client-address.ts';
import type { RateLimiter } from './rate-limiter.ts';

/** What requests are judged by: a configuration, and what was opened for it. Never changes; the next replaces it. */
export interface Generation {
  readonly config: Config;
  readonly access: Access;
  readonly proxies: TrustedProxies;
  /** `null` where nothing is limited. */
  readonly limits: RateLimiter | null;
}

/** Requests that began under a generation may still ask it for this long after the next one came. */
const RETIRE_MS = 30_000;
const RETIRED_MAX = 4;

interface Retired {
  readonly generation: Generation;
  readonly timer: NodeJS.Timeout;
}

/** The generation in force in this process, and those before it that requests may still hold. */
export class Generations {
  #current: Generation;
  #open: (config: Config) => Promise<Generation>;
  #onClosingFailed: (error: unknown) => void;
  #retired: Retired[] = [];

  /** `open` throws `StartError` for a configuration that cannot be had. */
  constructor(
    first: Generation,
    open: (config: Config) => Promise<Generation>,
    onClosingFailed: (error: unknown) => void,
  ) {
    this.#current = first;
    this.#open = open;
    this.#onClosingFailed = onClosingFailed;
  }

  get current(): Generation {
    return this.#current;
  }

  /** Opens everything for the next generation; the requests that come after `commit` are judged by it. */
  async prepare(config: Config): Promise<Prepared> {
    const next = await this.#open(config);
    return {
      commit: async () => {
        this.#retire(this.#current);
        this.#current = next;
      },
      discard: () => this.#close(next),
    };
  }

  #retire(generation: Generation): void {
    const timer = setTimeout(() => {
      this.#retired = this.#retired.filter((retired) => retired.generation !== generation);
      void this.#close(generation);
    }, RETIRE_MS);
    timer.unref();
    this.#retired.push({ generation, timer });
    const oldest = this.#retired.length > RETIRED_MAX ? this.#retired.shift() : undefined;
    if (oldest === undefined) return;
    clearTimeout(oldest.timer);
    void this.#close(oldest.generation);
  }

  async #close(generation: Generation): Promise<void> {
    try {
      await generation.access.close();
    } catch (error) {
      this.#onClosingFailed(error);
    }
  }

  async close(): Promise<void> {
    for (const { timer } of this.#retired) clearTimeout(timer);
    const all = [...this.#retired.map(({ generation }) => generation), this.#current];
    this.#retired = [];
    await Promise.all(all.map((generation) => this.#close(generation)));
  }
}
