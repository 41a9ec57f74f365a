import { createHash } from 'node:crypto';
import { DIGEST_ALGORITHMS, digestAlgorithm, digestFromParts, digestOf, digestSoFar } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { isUploadId, newUploadId } from '#oci/upload-id';
import type { UploadId } from '#oci/upload-id';
import { StorageError } from './driver.ts';
import type { FileReader, FileStat, Fingerprint, StorageDriver } from './driver.ts';
import { LAYOUT_TEXT } from './index-file.ts';
import {
  BLOBS_FOLDER,
  blobFolder,
  blobPath,
  indexPath,
  isAbandonedStage,
  layoutPath,
  newStagingPath,
  uploadPath,
  uploadsFolder,
} from './paths.ts';
import { UploadWriter } from './upload-writer.ts';

/** Called with the number of bytes read, before the next ones are: to pace the work, or to end it by throwing. */
export type ReadPacer = (bytes: number) => Promise<void> | void;

/** A larger index.json is refused: parsing it would stop the keeper for seconds. */
export const INDEX_SIZE_BYTES_MAX = 256 * 1024 * 1024;
const READ_SIZE = 1024 * 1024;

/**
 * One repository's bytes on its store: a complete OCI image layout at any moment.
 *
 * Who may call: reads and uploads from any process; everything that gives a name to bytes or takes it away
 * (`finishUpload`, `putManifest`, `replaceIndex`, `mountBlob`, `deleteBlob`) from the keeper only.
 */
export class RepositoryStore {
  readonly name: RepoName;
  #driver: StorageDriver;
  #durable: boolean;

  constructor(name: RepoName, driver: StorageDriver, durable: boolean) {
    this.name = name;
    this.#driver = driver;
    this.#durable = durable;
  }

  // --- blobs ---

  statBlob(digest: Digest): Promise<FileStat | null> {
    return this.#driver.stat(blobPath(this.name, digest));
  }

  openBlob(digest: Digest): Promise<FileReader | null> {
    return this.#driver.openReader(blobPath(this.name, digest));
  }

  /** Every file of `blobs/` whose name is a digest; others are passed over. */
  async *listBlobs(): AsyncIterable<Digest> {
    for (const algorithm of DIGEST_ALGORITHMS) {
      for await (const { name, kind } of this.#driver.list(blobFolder(this.name, algorithm))) {
        const digest = kind === 'file' ? digestFromParts(algorithm, name) : null;
        if (digest !== null) yield digest;
      }
    }
  }

  deleteBlob(digest: Digest): Promise<boolean> {
    return this.#driver.delete(blobPath(this.name, digest), { durable: this.#durable });
  }

  /** Makes a blob of another repository of the same store stand here too; `how` as in `PutOptions`. */
  async mountBlob(
    from: RepositoryStore,
    digest: Digest,
    how: {
      readonly mustShare?: boolean;
      readonly sourceIsDurable?: boolean;
      readonly replaces?: boolean;
    } = {},
  ): Promise<void> {
    const { replaces = false, ...link } = how;
    // Where equal bytes stand already, either of the two names will do after a power cut.
    const durable = this.#durable && !(replaces && link.sourceIsDurable === true);
    const options = { ...this.#putOptions(), ...link, durable };
    await this.#driver.link(blobPath(from.name, digest), blobPath(this.name, digest), options);
  }

  /** What the bytes of a blob are; `null` when it is absent. */
  async hashBlob(
    digest: Digest,
    pacer: ReadPacer = () => undefined,
  ): Promise<{ digest: Digest; sizeBytes: number } | null> {
    const reader = await this.openBlob(digest);
    if (reader === null) return null;
    return hashReader(reader, digestAlgorithm(digest), (piece) => pacer(piece.length));
  }

  /**
   * Copies a blob's bytes into a file of their own, as durable as the store is, which `placeCopy` gives the blob's
   * name and `discardCopy` removes; gives what the bytes are. `null` when the blob is absent. `from`: a repository of
   * any store.
   */
  async copyBlob(digest: Digest, pacer: ReadPacer, from: RepositoryStore = this): Promise<BlobCopy | null> {
    if ((await from.statBlob(digest)) === null) return null;
    const path = newStagingPath(this.name);
    const writer = await this.#driver.createWriter(path);
    try {
      const reader = await from.openBlob(digest);
      if (reader === null) throw new StorageError('missing', blobPath(this.name, digest));
      const keep = async (piece: Buffer): Promise<void> => {
        await writer.write(piece);
        await pacer(piece.length);
      };
      const read = await hashReader(reader, digestAlgorithm(digest), keep);
      if (this.#durable) await writer.sync();
      await writer.close();
      return { path, digest: read.digest };
    } catch (error) {
      // What cannot be closed or removed now is removed as staged by a process that is gone.
      await Promise.allSettled([writer.close(), this.#driver.delete(path, { durable: false })]);
      throw error;
    }
  }

  /** `replaces`: equal bytes stand there, so that either name will do after a power cut. */
  placeCopy(copy: BlobCopy, digest: Digest, { replaces = false } = {}): Promise<void> {
    const durable = this.#durable && !replaces;
    return this.#driver.move(copy.path, blobPath(this.name, digest), { durable });
  }

  async discardCopy(copy: BlobCopy): Promise<void> {
    await this.#driver.delete(copy.path, { durable: false });
  }

  // --- manifests ---

  /** A manifest's bytes, proven by their digest; `null` when absent, `corrupt` when damaged. */
  async readManifest(digest: Digest, sizeBytesMax: number): Promise<Buffer | null> {
    const path = blobPath(this.name, digest);
    const bytes = await this.#driver.read(path, sizeBytesMax);
    if (bytes !== null && digestOf(bytes, digestAlgorithm(digest)) !== digest)
      throw new StorageError('corrupt', path);
    return bytes;
  }

  /**
   * Stores a manifest's bytes. A sound copy that is already there is left alone, unless the answer promises that it
   * outlives a power cut: who wrote it may not have synced it, or failed to.
   */
  async putManifest(digest: Digest, bytes: Buffer): Promise<void> {
    const path = blobPath(this.name, digest);
    if (!this.#durable && (await this.#holds(path, bytes))) return;
    await this.#driver.put(path, [bytes], this.#putOptions());
  }

  async #holds(path: string, bytes: Buffer): Promise<boolean> {
    const found = await this.#driver.stat(path);
    if (found?.sizeBytes !== bytes.length) return false;
    return (await this.#driver.read(path, bytes.length))?.equals(bytes) === true;
  }

  // --- index.json ---

  async readIndex(): Promise<{ bytes: Buffer; stat: FileStat } | null> {
    const path = indexPath(this.name);
    // Stat on both sides: equal fingerprints prove that the bytes read are those of that version.
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const before = await this.#driver.stat(path);
      if (before === null) return null;
      const bytes = await this.#driver.read(path, INDEX_SIZE_BYTES_MAX);
      const after = await this.#driver.stat(path);
      if (bytes !== null && after?.fingerprint === before.fingerprint) return { bytes, stat: after };
    }
    throw new StorageError('unavailable', path, { message: 'index.json keeps changing while it is read' });
  }

  statIndex(): Promise<FileStat | null> {
    return this.#driver.stat(indexPath(this.name));
  }

  /**
   * Replaces index.json as a whole; `expected` is the version that `chunks` was made from (`null`: none, the
   * repository begins here). Throws `conflict` when another tool changed it meanwhile.
   */
  async replaceIndex(chunks: readonly Buffer[], expected: Fingerprint | null): Promise<FileStat> {
    // Also one that is empty, as a power cut may leave it under a tool that does not sync.
    const hasLayout =
      expected !== null && ((await this.#driver.stat(layoutPath(this.name)))?.sizeBytes ?? 0) > 0;
    if (!hasLayout) {
      await this.#driver.put(layoutPath(this.name), [LAYOUT_TEXT], this.#putOptions());
    }
    return this.#driver.put(indexPath(this.name), chunks, { ...this.#putOptions(), ifFingerprint: expected });
  }

  // --- uploads ---

  /** Begins an upload session: an empty file, which survives a restart of any process. */
  async startUpload(id: UploadId = newUploadId()): Promise<UploadId> {
    const writer = await this.#driver.createWriter(uploadPath(this.name, id));
    await writer.close();
    return id;
  }

  /** Begins an upload whose body follows at once, in one call of the file system less. */
  async startUploadWriter(
    algorithm: DigestAlgorithm,
    id: UploadId = newUploadId(),
  ): Promise<{ id: UploadId; writer: UploadWriter }> {
    const file = await this.#driver.createWriter(uploadPath(this.name, id));
    return { id, writer: UploadWriter.fresh(file, algorithm) };
  }

  /**
   * Makes an upload of a file outside of the store, sharing its bytes; `null` where they cannot be shared, or there is
   * no such file.
   */
  async adoptUpload(file: string): Promise<UploadId | null> {
    const id = newUploadId();
    const options = { durable: this.#durable };
    const adopted = await this.#driver.adopt?.(file, uploadPath(this.name, id), options);
    return adopted === true ? id : null;
  }

  async uploadSizeBytes(id: UploadId): Promise<number | null> {
    return (await this.#driver.stat(uploadPath(this.name, id)))?.sizeBytes ?? null;
  }

  /** An upload's file: its size, and when it was last written to. */
  statUpload(id: UploadId): Promise<FileStat | null> {
    return this.#driver.stat(uploadPath(this.name, id));
  }

  /** Every file of the uploads folder that is named as an upload. */
  async *listUploads(): AsyncIterable<UploadId> {
    for await (const { name, kind } of this.#driver.list(uploadsFolder(this.name))) {
      if (kind === 'file' && isUploadId(name)) yield name;
    }
  }

  /** Opens a session for appending, its hash not yet known; `null` when there is none. */
  openUpload(id: UploadId): ReturnType<StorageDriver['openWriter']> {
    return this.#driver.openWriter(uploadPath(this.name, id));
  }

  /** Reads a whole upload to hash it: only when no process hashed it on the way in, or for another algorithm. */
  async hashUpload(
    id: UploadId,
    algorithm: DigestAlgorithm,
  ): Promise<{ digest: Digest; sizeBytes: number } | null> {
    const reader = await this.#driver.openReader(uploadPath(this.name, id));
    if (reader === null) return null;
    return hashReader(reader, algorithm);
  }

  /** Gives an upload, whose bytes are durable and proven, its name as a blob. `missing` when it is gone. */
  finishUpload(id: UploadId, digest: Digest): Promise<void> {
    const options = { durable: this.#durable };
    return this.#driver.move(uploadPath(this.name, id), blobPath(this.name, digest), options);
  }

  cancelUpload(id: UploadId): Promise<boolean> {
    return this.#driver.delete(uploadPath(this.name, id), { durable: false });
  }

  /** Removes what a process that is gone left half staged; gives whether there are uploads besides. */
  async removeStaged(): Promise<{ removed: number; hasUploads: boolean }> {
    let removed = 0;
    let hasUploads = false;
    for await (const { name, kind } of this.#driver.list(uploadsFolder(this.name))) {
      hasUploads ||= kind === 'file' && isUploadId(name);
      if (kind !== 'file' || !isAbandonedStage(name)) continue;
      if (await this.#driver.delete(`${uploadsFolder(this.name)}/${name}`, { durable: false })) removed += 1;
    }
    return { removed, hasUploads };
  }

  // --- the whole repository ---

  /** Whether no blob and no upload is here. */
  async holdsNothing(): Promise<boolean> {
    for await (const _blob of this.listBlobs()) return false;
    for await (const _file of this.#driver.list(uploadsFolder(this.name))) return false;
    return true;
  }

  /**
   * Takes the index.json of another repository of the same store over as it is: from then on this is that repository,
   * and the other is none. `missing` when the other has none.
   */
  async takeIndex(from: RepositoryStore): Promise<void> {
    await this.#driver.put(layoutPath(this.name), [LAYOUT_TEXT], this.#putOptions());
    await this.#driver.move(indexPath(from.name), indexPath(this.name), { durable: this.#durable });
  }

  /** Makes this no repository any more; blobs are left alone. */
  async removeLayout(): Promise<void> {
    await this.#driver.delete(indexPath(this.name), { durable: this.#durable });
    await this.#driver.delete(layoutPath(this.name), { durable: false });
  }

  /** Removes the folders of the repository that hold nothing, and those above it that only led here. */
  async removeEmptyFolders(): Promise<void> {
    for (const algorithm of DIGEST_ALGORITHMS)
      await this.#driver.removeEmptyFolder(blobFolder(this.name, algorithm));
    await this.#driver.removeEmptyFolder(`${this.name}/${BLOBS_FOLDER}`);
    await this.#driver.removeEmptyFolder(uploadsFolder(this.name));
    const parts = this.name.split('/');
    for (let depth = parts.length; depth > 0; depth -= 1) {
      if (!(await this.#driver.removeEmptyFolder(parts.slice(0, depth).join('/')))) return;
    }
  }

  #putOptions(): { durable: boolean; stagingPath: string } {
    return { durable: this.#durable, stagingPath: newStagingPath(this.name) };
  }
}

/** The bytes of a blob in a file that has no name as a blob yet. */
export interface BlobCopy {
  readonly path: string;
  /** What was read, by the algorithm of the blob's digest. */
  readonly digest: Digest;
}

/** Hashes an open file from its start and closes it; `onPiece` is awaited for each piece, and may throw. */
export async function hashReader(
  reader: FileReader,
  algorithm: DigestAlgorithm,
  onPiece?: (piece: Buffer) => Promise<void> | void,
): Promise<{ digest: Digest; sizeBytes: number }> {
  try {
    const hash = createHash(algorithm);
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, Math.max(1, reader.sizeBytes)));
    let position = 0;
    for (;;) {
      const filled = await reader.read(buffer, position);
      hash.update(buffer.subarray(0, filled));
      if (filled > 0) await onPiece?.(buffer.subarray(0, filled));
      position += filled;
      if (filled < buffer.length) break;
    }
    return { digest: digestSoFar(hash, algorithm), sizeBytes: position };
  } finally {
    await reader.close();
  }
}
