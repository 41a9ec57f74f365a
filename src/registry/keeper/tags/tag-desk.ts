import type { GoneTag, Hold } from '#metadata';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { TagEventPage, TagEventRange } from '../keeper-contract.ts';
import type { TagDeskParts } from './tag-desk-parts.ts';
import { purgeManifest } from './tag-purge.ts';
import type { PurgeOrder, PurgeReport } from './tag-purge.ts';
import { restoreTag } from './tag-restore.ts';
import type { RestoreOrder, Restored } from './tag-restore.ts';
import type { TagRules } from './tag-rules.ts';

const PAGE = 500;

/** A page of what is held: in digest order, behind `after` ('' for the beginning). */
export interface HeldPage {
  readonly after: string;
  readonly limit: number;
}

/** What background work and the command line ask of tags, their history and what is held for it. */
export class TagDesk {
  #parts: TagDeskParts;

  constructor(parts: TagDeskParts) {
    this.#parts = parts;
  }

  get rules(): TagRules {
    return this.#parts.tagHistory.rules;
  }

  /** Puts the rules of a configuration in force. */
  use(rules: TagRules): void {
    this.#parts.tagHistory.use(rules);
  }

  /** The history of a tag, the newest first; `null` where none is kept. */
  async events(repo: RepoName, tag: Tag, range: TagEventRange): Promise<TagEventPage | null> {
    const { tagHistory, changes, history } = this.#parts;
    if (!tagHistory.keeps(repo)) return null;
    if (await tagHistory.isInDoubt(repo)) await changes.change(repo, { kind: 'refresh' });
    if (range.limit <= 0) return { events: [], more: false };
    const events = await history.listEvents(repo, tag, { ...range, limit: range.limit + 1 });
    return { events: events.slice(0, range.limit), more: events.length > range.limit };
  }

  /** Lets a tag name again what it named: see `tag-restore.ts` for what it throws. */
  restore(order: RestoreOrder): Promise<Restored> {
    return restoreTag(order, this.#parts);
  }

  /** Removes a manifest for good: see `tag-purge.ts` for what it throws. */
  purge(order: PurgeOrder): Promise<PurgeReport> {
    return purgeManifest(order, this.#parts);
  }

  /** Whether the bytes of a manifest are there, so that a tag can be restored to it. */
  async isStored(repo: RepoName, digest: Digest): Promise<boolean> {
    return (await this.#parts.storage.repository(repo).statBlob(digest)) !== null;
  }

  isHeld(repo: RepoName, digest: Digest): Promise<boolean> {
    return this.#parts.tagHistory.isHeld(repo, digest);
  }

  /** Everything held in a repository, each digest once; some of it may be in use as well. */
  listHeld(repo: RepoName, page: HeldPage): Promise<{ digest: Digest; sizeBytes: number }[]> {
    return this.#parts.history.listHeld(repo, page);
  }

  /** Ends the history of a name that another repository is about to take over. */
  async forgetEvents(repo: RepoName): Promise<void> {
    await this.#parts.tagHistory.flush();
    await this.#parts.history.forgetEvents(repo);
  }

  /**
   * Takes history and holds of a repository over to another name, whose own history has ended, and which has its tags
   * already. While neither changes; after a process that died in the middle it is to be called again.
   */
  async moveRepository(from: RepoName, to: RepoName): Promise<void> {
    const { tagHistory, history } = this.#parts;
    await tagHistory.flush();
    await history.moveRepository(from, to);
    tagHistory.tookOver(to);
  }

  /** Whether anything is held anywhere. */
  async holdsAny(): Promise<boolean> {
    return (await this.listHolds({ beforeMs: Infinity, after: null, limit: 1 })).length > 0;
  }

  /** Holds since before a time, the oldest first, behind `after`. */
  listHolds(page: { beforeMs: number; after: Hold | null; limit: number }): Promise<Hold[]> {
    return this.#parts.history.listHolds(page);
  }

  /** Tags that are gone since before a time, the oldest first, behind `after`. */
  listGone(page: { beforeMs: number; after: GoneTag | null; limit: number }): Promise<GoneTag[]> {
    return this.#parts.history.listGone(page);
  }

  /** Ends the history of a tag that is gone. */
  forgetTag(gone: GoneTag): Promise<void> {
    return this.#parts.history.forgetTag(gone);
  }

  /** Moves all times, after the clock was set forward by that much. */
  async shiftTimes(byMs: number): Promise<void> {
    if (this.rules.shortestUndoMs !== null) await this.#parts.history.shiftTimes(byMs);
  }

  /** Times that lie in the future become `nowMs`. */
  async clampTimes(nowMs: number): Promise<void> {
    if (this.rules.shortestUndoMs !== null) await this.#parts.history.clampTimes(nowMs);
  }

  /** Ends a hold: what only it kept is garbage from then on, of the age that it has by its loss. */
  async release(hold: Hold): Promise<void> {
    const { repo, digest, root, sinceMs } = hold;
    const { changes, index, history } = this.#parts;
    await changes.onBlob(repo, digest, async () => {
      await changes.change(repo, { kind: 'releaseHold', digest, root });
      await index.addCandidates([{ repo, what: digest, sinceMs }]);
      await history.removeHolds([hold]);
    });
  }

  /** Makes what is held and not in use absent again, after the index and with it the marks were lost. */
  async hideHeld(signal: AbortSignal): Promise<void> {
    for (let after: Hold | null = null; ;) {
      const page: Hold[] = await this.#parts.history.listHolds({ beforeMs: Infinity, after, limit: PAGE });
      for (const { repo, digest } of page) {
        if (signal.aborted) return;
        if (!this.#parts.tagHistory.keeps(repo)) continue;
        await this.#parts.changes.onBlob(repo, digest, () =>
          this.#parts.changes.change(repo, { kind: 'hideHeld', digest }),
        );
      }
      after = page.at(-1) ?? null;
      if (after === null) return;
    }
  }
}
