import type { Log } from '#lib/logger';

/** What signals act on, once it runs. */
export interface SignalTarget {
  /** Opens the log files of other processes again. */
  reopenLogs?(): void;
  /** Ends other processes at once. */
  kill?(): void;
}

/**
 * The signals of the first process, heard from its start on: one that comes before the server runs must neither end it
 * at once nor be lost. SIGTERM, SIGINT and SIGHUP (as in zot) ask for a stop in good order, a second one ends the
 * process where it stands; SIGUSR2 opens the log files again.
 */
export class ServerSignals {
  /** Settles with the first signal that asks for a stop. */
  readonly stop: Promise<NodeJS.Signals>;
  #log: Log;
  #target: SignalTarget = {};
  #asked = 0;

  constructor(log: Log) {
    this.#log = log;
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
    this.stop = promise;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        this.#asked += 1;
        resolve(signal);
        if (this.#asked > 1) this.#endAtOnce();
      });
    }
    process.on('SIGUSR2', () => {
      log.reopen();
      this.#target.reopenLogs?.();
    });
  }

  /** Says what runs now. */
  attach(target: SignalTarget): void {
    this.#target = target;
  }

  #endAtOnce(): void {
    this.#target.kill?.();
    void this.#log.flush().then(() => process.exit(1));
  }
}
