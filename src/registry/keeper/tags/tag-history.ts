import type { History, IndexWriter, PendingTagEvent, TagEventKey, TagEventKind } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Plan } from '../plans/operation.ts';
import { NO_TAG_RULES } from './tag-rules.ts';
import type { Holdings, TagRules } from './tag-rules.ts';

/**
 * Writes the history of tags beside their changes.
 *
 * Owns: which events have happened and are not confirmed yet, and which repositories are in doubt. Order of writes:
 * events and holds, pending -> index.json replaced -> index committed -> confirmed with the next batch or within a
 * second. After a fault or a crash in between, the repository is in doubt: before its next batch, and before its
 * history is read, each pending event is held against the tags as they are. Since a batch confirms those before it, at
 * most the newest event of a tag is pending, and the tag as it is tells whether that has happened.
 */
export class TagHistory implements Holdings {
  #history: History;
  #rules: TagRules = NO_TAG_RULES;
  #happened: TagEventKey[] = [];
  #inDoubt = new Set<RepoName>();
  #loaded: Promise<void> | null = null;
  #hasOldHolds: Promise<boolean> | null = null;

  constructor(history: History) {
    this.#history = history;
  }

  get rules(): TagRules {
    return this.#rules;
  }

  /** Puts the rules of a changed configuration in force. */
  use(rules: TagRules): void {
    this.#rules = rules;
    this.#hasOldHolds = null;
  }

  /** Whether changes of a repository can be undone; if not, nothing of its history is written or read. */
  keeps(repo: RepoName): boolean {
    return this.#rules.undoMs(repo) > 0;
  }

  async isHeld(repo: RepoName, digest: Digest): Promise<boolean> {
    return (await this.mayHold(repo)) && this.#history.isHeld(repo, digest);
  }

  async isHeldByOthers(repo: RepoName, digest: Digest, root: Digest): Promise<boolean> {
    return (await this.mayHold(repo)) && (await this.#history.findOtherRoot(repo, digest, root)) !== null;
  }

  /**
   * Whether something of a repository may be held. Also where undo is off now: holds of before are kept until
   * background work ends them, so that a command that knows the folder and not its configuration takes nothing away.
   */
  async mayHold(repo: RepoName): Promise<boolean> {
    if (this.keeps(repo)) return true;
    this.#hasOldHolds ??= this.#history
      .listHolds({ beforeMs: Infinity, after: null, limit: 1 })
      .then((found) => found.length > 0)
      .catch((error: unknown) => {
        // Asked again: a fault that passes must not stop the changes of all repositories for good.
        this.#hasOldHolds = null;
        throw error;
      });
    return this.#hasOldHolds;
  }

  /** Writes what plans are about to change. What takes something away must outlive a power cut as it does itself. */
  async record(repo: RepoName, plans: readonly Plan[], nowMs: number): Promise<readonly TagEventKey[]> {
    const events = plans.flatMap((plan) => plan.events);
    const holds = plans.flatMap((plan) => plan.holds);
    if (events.length + holds.length === 0) return [];
    const durable = plans.some((plan) => plan.removedManifests.length > 0 || plan.events.some(isRemoval));
    const confirmed = this.#happened;
    this.#happened = [];
    try {
      return await this.#history.append({ events, holds, nowMs, durable, confirmed });
    } catch (error) {
      this.#happened.push(...confirmed);
      this.doubt(repo);
      throw error;
    }
  }

  /** What was recorded has happened. */
  confirm(events: readonly TagEventKey[]): void {
    this.#happened.push(...events);
  }

  /** Nobody knows whether what was recorded has happened. */
  doubt(repo: RepoName): void {
    if (this.keeps(repo)) this.#inDoubt.add(repo);
  }

  /** A repository has taken over the events and holds of another name. What is pending is judged by its own tags. */
  tookOver(repo: RepoName): void {
    this.#hasOldHolds = null;
    this.doubt(repo);
  }

  async isInDoubt(repo: RepoName): Promise<boolean> {
    if (!this.keeps(repo)) return false;
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = null;
      throw error;
    });
    await this.#loaded;
    return this.#inDoubt.has(repo);
  }

  /** Judges the pending events of a repository by its tags; to be called by its queue, between two batches. */
  async settle(repo: RepoName, index: IndexWriter): Promise<void> {
    if (!(await this.isInDoubt(repo))) return;
    await this.flush();
    const happened: TagEventKey[] = [];
    const untrue: TagEventKey[] = [];
    for (const event of await this.#history.listPending(repo))
      ((await hasHappened(event, index)) ? happened : untrue).push(event);
    await this.#history.confirm(happened);
    await this.#history.takeBack(untrue);
    this.#inDoubt.delete(repo);
  }

  /** Writes down what is known to have happened. */
  async flush(): Promise<void> {
    if (this.#happened.length === 0) return;
    const confirmed = this.#happened;
    this.#happened = [];
    try {
      await this.#history.confirm(confirmed);
    } catch (error) {
      this.#happened.push(...confirmed);
      throw error;
    }
  }

  async #load(): Promise<void> {
    for (const repo of await this.#history.pendingRepositories()) this.#inDoubt.add(repo);
  }
}

/** Whether an event leaves no tag. */
export function isRemoval({ kind }: { readonly kind: TagEventKind }): boolean {
  return kind === 'deleted' || kind === 'manifestDeleted' || kind === 'purged';
}

async function hasHappened(event: PendingTagEvent, index: IndexWriter): Promise<boolean> {
  const { repo, tag, digest } = event;
  const holders = await index.findEntries(repo, { kind: 'tag', tag });
  const names = holders.some((holder) => holder.digest === digest);
  return isRemoval(event) ? !names : names;
}
