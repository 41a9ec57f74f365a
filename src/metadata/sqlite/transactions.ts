import type { DatabaseSync } from 'node:sqlite';

/** So many are committed at once in bulk: each page that they share is written once instead of once for each. */
const JOINED_MAX = 1000;

/** How a piece of work begins, and how it ends well or badly. */
interface Bracket {
  readonly begin: string;
  readonly keep: string;
  readonly undo: string;
}

const ALONE: Bracket = { begin: 'BEGIN IMMEDIATE', keep: 'COMMIT', undo: 'ROLLBACK' };
const JOINED: Bracket = {
  begin: 'SAVEPOINT joined',
  keep: 'RELEASE joined',
  undo: 'ROLLBACK TO joined; RELEASE joined',
};

/** The transactions of the one connection that writes a database: each for itself, or many together. */
export class Transactions {
  #db: DatabaseSync;
  /** How many were joined since the last commit; `null`: each is committed at once. */
  #joined: number | null = null;
  /** Why joined ones that were thought done are lost. */
  #lost: { readonly error: unknown } | null = null;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Runs `work`, which must not wait for anything: all that it writes is kept, or nothing where it throws. */
  run<Result>(work: () => Result): Result {
    if (this.#joined === null) return this.#within(ALONE, work);
    if (!this.#db.isTransaction) this.#db.exec('BEGIN IMMEDIATE');
    const result = this.#within(JOINED, work);
    this.#joined += 1;
    if (this.#joined >= JOINED_MAX) this.#commit();
    return result;
  }

  /**
   * Runs `work` with its transactions committed many at a time: for the first filling of a database that nobody reads
   * yet. Throws when a commit failed, by which transactions were lost that seemed done.
   */
  async inBulk<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#joined = 0;
    this.#lost = null;
    try {
      return await work();
    } finally {
      if (this.#db.isTransaction) this.#commit();
      this.#joined = null;
      this.#requireWhole();
    }
  }

  #requireWhole(): void {
    const lost = this.#lost;
    this.#lost = null;
    if (lost !== null) throw lost.error;
  }

  #within<Result>(bracket: Bracket, work: () => Result): Result {
    this.#db.exec(bracket.begin);
    try {
      const result = work();
      this.#db.exec(bracket.keep);
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec(bracket.undo);
      // A full disk undoes the whole transaction, with those that were joined to it before.
      else if (bracket === JOINED) this.#lost = { error };
      throw error;
    }
  }

  #commit(): void {
    this.#joined = 0;
    try {
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#lost = { error };
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    }
  }
}
