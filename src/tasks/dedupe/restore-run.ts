import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { requiredFreeBytes } from '#registry';
import { StorageError } from '#storage';
import type { BlobCopy } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import { countDamaged } from './damaged-copies.ts';
import type { DigestRun, PassParts, PassReport } from './pass-parts.ts';
import { pauseOrStop } from './pass-stopped.ts';

/** A name more or less changes what is looked at; the next pass has another try. */
const ATTEMPTS_MAX = 3;

/**
 * Gives each holder of one digest bytes of its own, but the last, who keeps those that were shared. A damaged one is
 * reported and left as it is: a copy of it would be no better.
 */
export class RestoreRun implements DigestRun {
  readonly #digest: Digest;
  readonly #parts: PassParts;
  readonly #context: TaskContext;
  readonly #report: PassReport;
  #copied = 0;
  #metDamage = false;

  constructor(digest: Digest, parts: PassParts, context: TaskContext, report: PassReport) {
    this.#digest = digest;
    this.#parts = parts;
    this.#context = context;
    this.#report = report;
  }

  async visit(repo: RepoName): Promise<void> {
    const store = this.#parts.storage.repository(repo);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const stat = await store.statBlob(this.#digest);
      if (stat === null || (stat.names ?? 1) === 1) return;
      if ((await this.#parts.index.whyAbsent(repo, this.#digest)) !== null) return;
      await this.#requireRoom(stat.sizeBytes);
      const copy = await this.#copy(repo);
      if (copy === null) return;
      if (await this.#place(repo, copy, stat.fingerprint)) {
        this.#copied += 1;
        this.#report.copied += 1;
        this.#report.copiedBytes += stat.sizeBytes;
        return;
      }
    }
    this.#report.failed += 1;
  }

  async end(): Promise<void> {
    if (this.#metDamage) this.#report.damaged += await countDamaged(this.#parts.index, this.#digest);
    if (this.#copied === 0) return;
    const facts = { component: 'dedupe', digest: this.#digest, blobs: this.#copied };
    this.#parts.logger.debug(facts, 'restoring deduped blobs for digest finished successfully');
  }

  /** A whole copy of a blob; `null` when it is damaged or gone. */
  async #copy(repo: RepoName): Promise<BlobCopy | null> {
    const store = this.#parts.storage.repository(repo);
    const copy = await store.copyBlob(this.#digest, () => pauseOrStop(this.#context));
    if (copy === null || copy.digest === this.#digest) return copy;
    await store.discardCopy(copy);
    // Noted for all its names: none of them will be copied.
    const pacer = (): Promise<void> => pauseOrStop(this.#context);
    await this.#parts.keeper.damage.examine(repo, this.#digest, pacer);
    this.#metDamage = true;
    return null;
  }

  async #place(repo: RepoName, copy: BlobCopy, copied: string): Promise<boolean> {
    let isPlaced = false;
    try {
      isPlaced = await this.#parts.keeper.dedupe.placeCopy(repo, this.#digest, copy, copied);
    } finally {
      if (!isPlaced) await this.#parts.storage.repository(repo).discardCopy(copy);
    }
    return isPlaced;
  }

  /** Pushes are refused below this limit; a pass that nobody waits for must not bring that about. */
  async #requireRoom(sizeBytes: number): Promise<void> {
    const { store, spaceLimit } = this.#parts;
    const space = await store.driver.freeSpace();
    if (space === null) return;
    if (space.freeBytes - sizeBytes >= requiredFreeBytes(spaceLimit, space.totalBytes)) return;
    const message = `not enough free space for copies of shared blobs: ${space.freeBytes} bytes are free`;
    throw new StorageError('full', '', { message });
  }
}
