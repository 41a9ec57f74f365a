/**
 * Whole repositories that are being renamed or removed, noted before the first step and until the last, so that what a
 * process that died left half done is carried on by the next; and what the records know of them. Part of the records.
 */
import type { RepoName } from '#oci/repo-name';

export interface RepositoryMove {
  readonly repo: RepoName;
  /** The new name; `null`: the repository is removed. */
  readonly target: RepoName | null;
  /** Which index.json it was about: one that came later, under records of before, is left alone. */
  readonly version: string;
}

export interface RepositoryMoves {
  /** Notes a change, durably. What is remembered of an earlier life of the target is forgotten. */
  begin(move: RepositoryMove): Promise<void>;
  list(): Promise<RepositoryMove[]>;
  /** Takes counts, times and favourites over to the new name; may be called again when it was cut short. */
  moveRecords(repo: RepoName, target: RepoName): Promise<void>;
  /** Forgets the counts and times of a repository, and whose favourite it is. */
  forgetRecords(repo: RepoName): Promise<void>;
  /** The change is complete, or was given up. */
  end(repo: RepoName): Promise<void>;
}
