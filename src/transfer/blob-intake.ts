import { byteSize } from '#lib/byte-text';
import { WeightedLru } from '#lib/weighted-lru';
import type { IndexReader } from '#metadata';
import { digestAlgorithm } from '#oci/digest';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { BodySource, Keeper, Registry } from '#registry';
import { hashReader } from '#storage';
import type { FileReader, Storage } from '#storage';
import { TransferRefusal } from './refusal.ts';

import type { Tally } from './tally.ts';

/** What an import works with: the registry's own way of writing. */
export interface ImportParts {
  readonly registry: Registry;
  readonly keeper: Keeper;
  readonly index: IndexReader;
  readonly storage: Storage;
  /** Larger manifests are refused, as they are when they are pushed. */
  readonly manifestSizeBytesMax: number;
  readonly tally: Tally;
}

export interface BlobToPlace {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Blobs of this run that are known to be sound; the rest is looked at again. */
const PROVEN_MAX = 200_000;
const HOLDERS_ASKED = 5;
const READ_BYTES = 1024 * 1024;

/** Brings blobs into one repository; what stands already is proven by its digest, and not copied again. */
export class BlobIntake {
  readonly repo: RepoName;
  #parts: ImportParts;
  /** Blobs of this repository, and, for those of others, where they were proven. */
  #proven: WeightedLru<string, RepoName>;

  /** `proven` is shared by the repositories of one run. */
  constructor(parts: ImportParts, repo: RepoName, proven = BlobIntake.memory()) {
    this.#parts = parts;
    this.repo = repo;
    this.#proven = proven;
  }

  static memory(): WeightedLru<string, RepoName> {
    return new WeightedLru(PROVEN_MAX);
  }

  /** Whether a sound blob stands in the repository, or could be linked from another one. */
  async holds(blob: BlobToPlace): Promise<boolean> {
    const key = `${this.repo} ${blob.digest}`;
    if (this.#proven.get(key) !== undefined) return true;
    const { keeper, tally } = this.#parts;
    // Mounted from itself, so that a collection that is under way leaves it alone.
    const stands =
      (await this.#isSound(this.repo, blob)) && (await keeper.mountBlob(this.repo, this.repo, blob.digest));
    if (stands) tally.add({ blobsPresent: 1 });
    else if (!(await this.#link(blob))) return false;
    this.#note(blob.digest);
    return true;
  }

  /** Takes a blob whose bytes come once. Throws `DIGEST_INVALID` or `SIZE_INVALID` when they are not its own. */
  async push({ digest, sizeBytes }: BlobToPlace, pieces: AsyncIterable<Buffer>): Promise<void> {
    await this.#requireSpace(sizeBytes);
    const source = this.#counted(pieces);
    await this.#parts.registry.uploads.pushWhole(this.repo, digest, { source, sizeBytes });
    this.#parts.tally.add({ blobsCopied: 1 });
    this.#note(digest);
  }

  /** As `push`, from an open file, which is closed. */
  async pushFile(blob: BlobToPlace, reader: FileReader): Promise<void> {
    try {
      await this.push(blob, piecesOf(reader));
    } finally {
      await reader.close();
    }
  }

  /**
   * Makes the bytes of a file outside of the store stand here too, proven, and without a copy; gives whether that could
   * be done. Throws `TransferRefusal` when they are not those of the digest.
   */
  async linkFile({ digest, sizeBytes }: BlobToPlace, file: string): Promise<boolean> {
    const { storage, keeper, tally } = this.#parts;
    const store = storage.repository(this.repo);
    const id = await store.adoptUpload(file);
    if (id === null) return false;
    try {
      // Looked at by its new name, so that what is proven is what is named.
      const hashed = await store.hashUpload(id, digestAlgorithm(digest));
      if (hashed?.digest !== digest || hashed.sizeBytes !== sizeBytes)
        throw new TransferRefusal(`the blob ${digest} is damaged: its bytes have another digest or size`);
      await keeper.finishUpload({ repo: this.repo, id }, { digest, sizeBytes });
    } catch (error) {
      await store.cancelUpload(id);
      throw error;
    }
    tally.add({ blobsLinked: 1 });
    this.#note(digest);
    return true;
  }

  #note(digest: Digest): void {
    this.#proven.set(`${this.repo} ${digest}`, this.repo);
    this.#proven.set(digest, this.repo);
  }

  async #link(blob: BlobToPlace): Promise<boolean> {
    const { index, storage, keeper, tally } = this.#parts;
    const known = this.#proven.get(blob.digest);
    const holders =
      known === undefined
        ? await index.listBlobHolders(blob.digest, { after: '', limit: HOLDERS_ASKED })
        : [known];
    for (const holder of holders) {
      if (holder === this.repo || !storage.shareStore(holder, this.repo)) continue;
      if (known === undefined && !(await this.#isSound(holder, blob))) continue;
      if (!(await keeper.mountBlob(this.repo, holder, blob.digest))) continue;
      tally.add({ blobsLinked: 1 });
      return true;
    }
    return false;
  }

  async #isSound(repo: RepoName, { digest, sizeBytes }: BlobToPlace): Promise<boolean> {
    const reader = await this.#parts.storage.repository(repo).openBlob(digest);
    if (reader === null) return false;
    if (reader.sizeBytes !== sizeBytes) {
      await reader.close();
      return false;
    }
    return (await hashReader(reader, digestAlgorithm(digest))).digest === digest;
  }

  /** Refused before the first byte, rather than when the disk is full. */
  async #requireSpace(sizeBytes: number): Promise<void> {
    const free = await this.#parts.storage.storeOf(this.repo).driver.freeSpace();
    if (free === null || free.freeBytes > sizeBytes) return;
    const needed = `${byteSize(sizeBytes)} are needed and ${byteSize(free.freeBytes)} are free`;
    throw new TransferRefusal(`the storage of ${this.repo} is full: ${needed}`);
  }

  #counted(pieces: AsyncIterable<Buffer>): BodySource {
    const { tally } = this.#parts;
    let stopped: Error | null = null;
    return {
      async *[Symbol.asyncIterator]() {
        for await (const piece of pieces) {
          if (stopped !== null) throw stopped;
          tally.add({ bytesCopied: piece.length });
          yield piece;
        }
      },
      stop(error) {
        stopped = error;
      },
    };
  }
}

/** The bytes of an open file from its start. */
export async function* piecesOf(reader: FileReader): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0; ;) {
    // New memory for each piece: whoever takes it gives it back.
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Math.max(1, reader.sizeBytes - position)));
    const filled = await reader.read(buffer, position);
    position += filled;
    if (filled > 0) yield buffer.subarray(0, filled);
    if (filled < buffer.length || position >= reader.sizeBytes) return;
  }
}
