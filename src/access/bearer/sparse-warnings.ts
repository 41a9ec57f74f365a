import type { Logger } from '#lib/logger';

const REPEAT_MS = 60_000;
const TEXTS_MAX = 100;

/** Warnings about what clients send, each text at most once a minute: nobody can fill the log with them. */
export class SparseWarnings {
  #logger: Logger;
  #saidMs = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  warn(text: string, details: Readonly<Record<string, unknown>> = {}): void {
    const nowMs = performance.now();
    const saidMs = this.#saidMs.get(text);
    if (saidMs !== undefined && nowMs - saidMs < REPEAT_MS) return;
    if (this.#saidMs.size >= TEXTS_MAX) this.#saidMs.clear();
    this.#saidMs.set(text, nowMs);
    this.#logger.warn(details, text);
  }
}
