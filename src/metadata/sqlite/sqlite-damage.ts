import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { DamageList, DamagePlace, DamageRow } from '../damage-contract.ts';
import { DamageRows } from './damage-rows.ts';

/** The list of damage on an open database, of which this is the one writer. */
export class SqliteDamage implements DamageList {
  #rows: DamageRows;
  #transaction: (work: () => void) => void;

  /** `transaction` runs work that waits for nothing in one transaction of the same database. */
  constructor(db: DatabaseSync, transaction: (work: () => void) => void) {
    this.#rows = new DamageRows(db);
    this.#transaction = transaction;
  }

  async addDamage(rows: readonly DamageRow[]): Promise<void> {
    this.#transaction(() => {
      for (const row of rows) this.#rows.add(row);
    });
  }

  async removeDamage(repo: RepoName, digests: readonly Digest[]): Promise<void> {
    this.#transaction(() => {
      for (const digest of digests) this.#rows.remove(repo, digest);
    });
  }

  async findDamage(repo: RepoName, digest: Digest): Promise<DamageRow | null> {
    return this.#rows.find(repo, digest);
  }

  async listDamage(options: { after: DamagePlace | null; limit: number }): Promise<DamageRow[]> {
    return this.#rows.list(options);
  }

  async listDamagedCopies(
    digest: Digest,
    options: { after: RepoName | ''; limit: number },
  ): Promise<DamageRow[]> {
    return this.#rows.copies(digest, options);
  }
}
