import type { IndexWriter } from '#metadata';
import { INDEX_CHANGES } from './dying-disk.ts';

/** SQLite's codes for a full disk and for a failing one. */
export const INDEX_FAULTS = { full: 13, unavailable: 10 } as const;
export type IndexFault = keyof typeof INDEX_FAULTS;

export interface IndexFaultPlan {
  /** Which call fails, from 1. */
  readonly at: number;
  readonly fault: IndexFault;
  /** `after`: the call is carried out, and only its answer is lost. */
  readonly when: 'before' | 'after';
  /** Every later call fails as well. */
  readonly forGood?: boolean;
}

/** Fails one call of an index, or all from one on, as a database on a bad disk does. */
export class FailingIndex {
  readonly calls: string[] = [];
  failed = 0;
  #plan: IndexFaultPlan | null = null;

  arm(plan: IndexFaultPlan | null): void {
    this.#plan = plan;
    this.calls.length = 0;
  }

  wrap(inner: IndexWriter): IndexWriter {
    return new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || name === 'close') return value;
        const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) => this.#run(String(name), () => method(...args));
      },
    });
  }

  async #run(name: string, work: () => Promise<unknown>): Promise<unknown> {
    const plan = this.#plan;
    // A full disk can be read.
    if (plan?.fault === 'full' && !INDEX_CHANGES.includes(name)) return work();
    this.calls.push(name);
    const hit =
      plan !== null && (plan.forGood === true ? this.calls.length >= plan.at : this.calls.length === plan.at);
    if (plan === null || !hit) return work();
    this.failed += 1;
    if (plan.when === 'after') await work();
    throw Object.assign(new Error(`planned ${plan.fault} at ${name}`), { errcode: INDEX_FAULTS[plan.fault] });
  }
}
