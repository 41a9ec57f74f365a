/**
 * What is known to be damaged. The records hold it for good; the index holds the same, so that every process that
 * answers requests knows it at the cost of the look-up that it makes anyway. `damage-contract.suite.ts` is the suite
 * that every implementation must pass.
 */
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

/** What is wrong with a file: it is gone, has another size or other bytes than it must have, or cannot be read. */
export type DamageKind = 'missing' | 'wrong-size' | 'wrong-digest' | 'unreadable';

export interface DamageRow {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly kind: DamageKind;
  /** Which file was found damaged, as the keeper names versions of files; '' when there was none. */
  readonly version: string;
  /** For people: what was found in place of what. */
  readonly detail: string;
  readonly foundMs: number;
}

/** A place in the list of damage, which is in the order of repositories, then digests. */
export type DamagePlace = Pick<DamageRow, 'repo' | 'digest'>;

export interface DamageReader {
  findDamage(repo: RepoName, digest: Digest): Promise<DamageRow | null>;
}

export interface DamageList extends DamageReader {
  /** Notes damage; what was noted of the same content before is replaced. */
  addDamage(rows: readonly DamageRow[]): Promise<void>;
  removeDamage(repo: RepoName, digests: readonly Digest[]): Promise<void>;
  /** All damage in order, behind `after`. */
  listDamage(options: { readonly after: DamagePlace | null; readonly limit: number }): Promise<DamageRow[]>;
  /** Where a digest is damaged, in the order of repositories, behind `after` ('': from the beginning). */
  listDamagedCopies(
    digest: Digest,
    options: { readonly after: RepoName | ''; readonly limit: number },
  ): Promise<DamageRow[]>;
}
