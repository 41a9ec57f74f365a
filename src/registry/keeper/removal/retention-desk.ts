import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Changes } from '../changes.ts';
import type { TagToRetire } from '../plans/operation.ts';
import type { RecordJournal } from '../record-journal.ts';
import type { RepositoryWatch } from './repository-watch.ts';
import type { RepositoryWatches } from './repository-watches.ts';

export interface RetentionParts {
  readonly changes: Changes;
  readonly watches: RepositoryWatches;
  readonly journal: RecordJournal;
}

/** What retention asks for: a look that sees all that happened, and removals that are decided anew in the queue. */
export class RetentionDesk {
  #parts: RetentionParts;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /**
   * Begins a judgement: index and records are up to the moment when this settles, and the watch knows what happens
   * from then on. To be closed by the caller.
   */
  async open(repo: RepoName): Promise<RepositoryWatch> {
    const { watches, changes, journal } = this.#parts;
    const watch = watches.open(repo);
    try {
      await changes.change(repo, { kind: 'refresh' });
      await journal.flush();
    } catch (error) {
      watch.close();
      throw error;
    }
    return watch;
  }

  /** Removes tags as far as the judgement of the watch holds for them; gives those that are gone. */
  async retire(watch: RepositoryWatch, tags: readonly TagToRetire[]): Promise<readonly Tag[]> {
    let gone: readonly Tag[] = [];
    const onPlan = (planned: readonly Tag[]): void => void (gone = planned);
    await this.#parts.changes.change(watch.repo, { kind: 'retire', tags, watch, onPlan });
    return gone;
  }

  /** A number that grows when something of the repository is pulled. */
  pullMark(repo: RepoName): number {
    return this.#parts.watches.pullMark(repo);
  }
}
