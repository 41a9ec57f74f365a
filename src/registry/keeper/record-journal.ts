import type { PullCount, PushRecord, Records } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

interface GoneManifest {
  readonly repo: RepoName;
  readonly digest: Digest;
}

type Change = { readonly push: PushRecord } | { readonly gone: GoneManifest };

/** Records gathered at most before they are written early. */
const GATHERED_MAX = 10_000;

/**
 * Counts and times on their way to the records, gathered so that neither a pull nor a push waits for them. Pushes and
 * removals keep their order.
 */
export class RecordJournal {
  #records: Records;
  #report: (problem: string) => void;
  #pulls: PullCount[] = [];
  #changes: Change[] = [];
  #flushing: Promise<void> = Promise.resolve();

  constructor(records: Records, report: (problem: string) => void) {
    this.#records = records;
    this.#report = report;
  }

  addPulls(counts: readonly PullCount[]): void {
    this.#pulls.push(...counts);
  }

  addPush(push: PushRecord): void {
    this.#changes.push({ push });
  }

  addRemoval(gone: GoneManifest): void {
    this.#changes.push({ gone });
  }

  /** Writes what is gathered when it is much; what a client adds must not grow without bound. */
  async flushWhenFull(): Promise<void> {
    if (Math.max(this.#pulls.length, this.#changes.length) > GATHERED_MAX) await this.flush();
  }

  /** Writes all that is gathered, one after the other; never fails. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  async #write(): Promise<void> {
    const pulls = this.#pulls;
    const changes = this.#changes;
    if (pulls.length + changes.length === 0) return;
    this.#pulls = [];
    this.#changes = [];
    try {
      if (pulls.length > 0) await this.#records.addPulls(pulls);
      for (let at = 0; at < changes.length;) at = await this.#writeRun(changes, at);
    } catch (error) {
      // Counts are lost rather than kept without bound; content is never touched by this.
      this.#report(`statistics could not be written: ${String(error)}`);
    }
  }

  /** Writes the changes of one kind that follow each other; gives where the next ones begin. */
  async #writeRun(changes: readonly Change[], from: number): Promise<number> {
    const pushes: PushRecord[] = [];
    const gone: GoneManifest[] = [];
    let at = from;
    for (; at < changes.length; at += 1) {
      const change = changes[at];
      if (change === undefined) break;
      if ('push' in change) {
        if (gone.length > 0) break;
        pushes.push(change.push);
      } else {
        if (pushes.length > 0) break;
        gone.push(change.gone);
      }
    }
    if (pushes.length > 0) await this.#records.addPushes(pushes);
    if (gone.length > 0) await this.#records.forget(gone);
    return at;
  }
}
