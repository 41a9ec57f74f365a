import type { Logger } from '#lib/logger';
import type { Accounts } from '../contract.ts';

const FLUSH_MS = 5000;
const GATHERED_MAX = 10_000;

/** Gathers when keys were last used and writes it every few seconds: no request waits for that. */
export class ApiKeyUses {
  #accounts: Accounts;
  #logger: Logger;
  #usedMs = new Map<string, number>();
  #timer: NodeJS.Timeout;

  constructor(accounts: Accounts, logger: Logger) {
    this.#accounts = accounts;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#flush(), FLUSH_MS);
    this.#timer.unref();
  }

  note(hash: string, usedMs: number): void {
    if (this.#usedMs.size < GATHERED_MAX || this.#usedMs.has(hash)) this.#usedMs.set(hash, usedMs);
  }

  async #flush(): Promise<void> {
    if (this.#usedMs.size === 0) return;
    const uses = [...this.#usedMs].map(([hash, usedMs]) => ({ hash, usedMs }));
    this.#usedMs.clear();
    try {
      await this.#accounts.touchApiKeys(uses);
    } catch (error) {
      // The times of these uses are lost, and nothing else.
      this.#logger.warn({ component: 'api-keys', error }, 'last uses could not be written');
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flush();
  }
}
