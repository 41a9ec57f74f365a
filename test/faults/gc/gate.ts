import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IndexWriter } from '#metadata';
import { StorageError } from '#storage';
import type { StorageDriver } from '#storage';

/** An operation that waits for a lock which the held call has is let go on after this many turns. */
const TURNS_MAX = 25;

/** Stands before every call of a driver and an index: at a chosen one something else happens, or all ends. */
export class Gate {
  /** Calls since it was armed. */
  counted = 0;
  #at = 0;
  #act: (() => Promise<void>) | null = null;
  #acting: Promise<void> | null = null;
  #dead = false;

  /** At the `at`-th call from now on (from 1) `act` begins, and goes on beside that call if it waits for it. */
  arm(at: number, act: () => Promise<void>): void {
    this.counted = 0;
    this.#at = at;
    this.#act = act;
    this.#acting = null;
  }

  /** Whether it came to the chosen call; settles when what began there has ended. */
  async disarm(): Promise<boolean> {
    this.#act = null;
    await this.#acting;
    return this.#acting !== null;
  }

  /** From now on every call fails, until `revive`. */
  readonly kill = async (): Promise<void> => {
    this.#dead = true;
  };

  revive(): void {
    this.#dead = false;
  }

  async #pass(): Promise<void> {
    this.counted += 1;
    if (this.#act !== null && this.counted === this.#at) await this.#meet(this.#act);
    if (this.#dead) throw new StorageError('unavailable', '', { message: 'the process is dead' });
  }

  async #meet(act: () => Promise<void>): Promise<void> {
    this.#act = null;
    let ended = false;
    this.#acting = act().finally(() => (ended = true));
    this.#acting.catch(() => undefined);
    for (let turn = 0; turn < TURNS_MAX && !ended; turn += 1) await nextTurn();
  }

  index(inner: IndexWriter): IndexWriter {
    return this.#guarded(inner, ['close']);
  }

  driver(inner: StorageDriver): StorageDriver {
    return this.#guarded(inner, ['close', 'list', 'name', 'flags']);
  }

  #guarded<Guarded extends object>(inner: Guarded, free: readonly string[]): Guarded {
    return new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        if (free.includes(String(name))) return method;
        return async (...args: unknown[]) => {
          await this.#pass();
          return method(...args);
        };
      },
    });
  }
}
