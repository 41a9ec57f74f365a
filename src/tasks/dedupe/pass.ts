/**
 * One pass over the equal blobs of a store: with `dedupe` it links them, without it gives each bytes of its own again.
 *
 * It goes through the index in the order of digests and holds one digest's few copies in memory. Nothing is locked
 * but the digest and the holder that are changed at the moment, and these while names change, not while bytes are
 * read. Each change replaces one name by another whole file, so that a process that ends anywhere leaves every
 * repository complete. How far it is, is noted on the way: the next start goes on there.
 */
import type { HolderRow } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import { LinkRun } from './link-run.ts';
import type { DigestRun, PassParts, PassReport } from './pass-parts.ts';
import { writePassState } from './pass-state.ts';
import type { PassState } from './pass-state.ts';
import { RestoreRun } from './restore-run.ts';
import { PassStopped } from './pass-stopped.ts';

const PAGE = 500;
/** How far the pass is, is written after this many rows of the index. */
const NOTED_ROWS = 5000;
/** Faults that end a pass: the store, not what lies in it, is in trouble. */
const FAILED_MAX = 100;

export class DedupePass {
  readonly #parts: PassParts;
  readonly #context: TaskContext;
  readonly #report: PassReport;
  readonly #mode: PassState['mode'];
  /** The digest whose holders are being read, with the first of them until there is a second. */
  #current: { readonly digest: Digest; first: RepoName | null; run: DigestRun | null } | null = null;

  constructor(mode: PassState['mode'], parts: PassParts, context: TaskContext, report: PassReport) {
    this.#mode = mode;
    this.#parts = parts;
    this.#context = context;
    this.#report = report;
  }

  /** Goes on behind `from`; gives whether it came to the end. */
  async run(from: Digest | ''): Promise<boolean> {
    let rows = 0;
    for (let after: HolderRow = { digest: from, repo: '' }; ;) {
      const page = await this.#parts.index.listHolders({ after, limit: PAGE });
      for (const row of page) {
        if (this.#context.signal.aborted) return false;
        await this.#isolated(() => this.#take(row));
      }
      await this.#context.pause();
      rows += page.length;
      if (rows >= NOTED_ROWS) {
        await this.#note();
        rows = 0;
      }
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    await this.#isolated(() => this.#end());
    return !this.#context.signal.aborted;
  }

  async #take({ digest, repo }: HolderRow): Promise<void> {
    if (digest === '' || repo === '' || this.#parts.storage.storeOf(repo) !== this.#parts.store) return;
    if (this.#current?.digest !== digest) {
      await this.#end();
      this.#current = { digest, first: repo, run: null };
      return;
    }
    const { first } = this.#current;
    this.#current.run ??= this.#begin(digest);
    this.#current.first = null;
    if (first !== null) await this.#current.run.visit(first);
    await this.#current.run.visit(repo);
    await this.#context.pause();
  }

  #begin(digest: Digest): DigestRun {
    const Run = this.#mode === 'link' ? LinkRun : RestoreRun;
    return new Run(digest, this.#parts, this.#context, this.#report);
  }

  async #end(): Promise<void> {
    const run = this.#current?.run ?? null;
    this.#current = null;
    if (run !== null && !this.#context.signal.aborted) await run.end();
  }

  /** The digest that is being worked on is begun again after a restart. */
  #note(): Promise<void> {
    const state = { mode: this.#mode, after: this.#current?.digest ?? '', done: false } as const;
    return writePassState(this.#parts.store, state, false);
  }

  /** One blob in trouble does not keep the others. */
  async #isolated(work: () => Promise<void>): Promise<void> {
    const digest = this.#current?.digest;
    try {
      await work();
    } catch (error) {
      if (error instanceof PassStopped) return;
      this.#report.failed += 1;
      this.#parts.logger.warn({ component: 'dedupe', digest, error }, 'failed to rebuild digest');
      const isFull = error instanceof StorageError && error.fault === 'full';
      if (isFull || this.#report.failed >= FAILED_MAX) throw error;
    }
  }
}
