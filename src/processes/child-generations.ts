import type { Config } from '#config';
import type { Log } from '#lib/logger';
import type { Prepared } from '#lib/prepared';
import type { FromChild, ToChild } from './messages.ts';

export type GenerationOrder = Extract<ToChild, { kind: 'prepare' | 'commit' | 'discard' }>;

interface Parts {
  readonly prepare: (config: Config) => Promise<Prepared>;
  readonly log: Log;
  readonly tell: (message: FromChild) => void;
  /** A generation that the others have put in force cannot be had here: the process must begin anew. */
  readonly fail: (error: unknown) => void;
}

/** Carries out what the supervisor orders about generations, one order after the other. */
export class ChildGenerations {
  #parts: Parts;
  #prepared: { readonly generation: number; readonly change: Prepared } | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  receive(order: GenerationOrder): void {
    this.#work = this.#work
      .then(() => this.#carryOut(order))
      .catch((error: unknown) => this.#parts.fail(error));
  }

  async #carryOut(order: GenerationOrder): Promise<void> {
    const { generation } = order;
    if (order.kind === 'prepare') return this.#prepare(generation, order.config);
    if (order.kind === 'commit') return this.#commit(generation, order.config);
    if (this.#prepared?.generation === generation) await this.#drop();
  }

  async #prepare(generation: number, config: Config): Promise<void> {
    await this.#drop();
    try {
      this.#prepared = { generation, change: await this.#parts.prepare(config) };
      this.#parts.tell({ kind: 'prepared', generation });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#parts.tell({ kind: 'refused', generation, message });
    }
  }

  async #commit(generation: number, config: Config): Promise<void> {
    if (this.#prepared?.generation !== generation) await this.#drop();
    const change = this.#prepared?.change ?? (await this.#parts.prepare(config));
    this.#prepared = null;
    await change.commit();
    this.#parts.log.setLevel(config.log.level);
    this.#parts.tell({ kind: 'committed', generation });
  }

  async #drop(): Promise<void> {
    const dropped = this.#prepared;
    this.#prepared = null;
    await dropped?.change.discard();
  }
}
