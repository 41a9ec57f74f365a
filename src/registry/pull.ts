import type { IndexReader, ManifestRow, PullCount } from '#metadata';
import { WeightedLru } from '#lib/weighted-lru';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { referenceText } from '#oci/reference';
import type { Reference } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileReader, Storage } from '#storage';
import { DamagedContent, damagedBlob, damagedManifest } from './damaged-content.ts';
import type { Freshness } from './freshness.ts';
import type { Hooks } from './hooks.ts';
import type { Keeper } from './keeper/keeper-contract.ts';

export interface ManifestContent extends ManifestRow {
  readonly bytes: Buffer;
}

export interface BlobContent {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

export interface OpenBlob extends BlobContent {
  /** To be closed by whoever opened it. */
  readonly reader: FileReader;
}

export interface PullParts {
  readonly storage: Storage;
  readonly index: IndexReader;
  readonly keeper: Keeper;
  readonly freshness: Freshness;
  readonly hooks: Hooks;
  /** Hears of damage that a request met. */
  readonly report: (problem: string, error: unknown) => void;
}

/** Manifests of other tools may be larger than those we accept. */
const MANIFEST_SIZE_BYTES_MAX = 64 * 1024 * 1024;
const CACHE_BYTES_MAX = 32 * 1024 * 1024;
/** Counted pulls are handed to the keeper this often; a pull never waits for it. */
const COUNTS_MS = 1000;
const COUNTS_MAX = 20_000;
/** Times a tag may move, with its old manifest deleted at once, while one request looks for it. */
const FINDS_MAX = 5;
const OCTET_STREAM = 'application/octet-stream';

/** Reads of manifests and blobs (distribution-spec, "Pull"). Nothing here writes. */
export class Pull {
  #parts: PullParts;
  /** By digest; content never changes under it, and whether it exists here is asked of the index each time. */
  #cache = new WeightedLru<Digest, Buffer>(CACHE_BYTES_MAX);
  #counts = new Map<string, { repo: RepoName; digest: Digest; pulls: number; lastPullMs: number }>();
  #timer: NodeJS.Timeout;
  #damaged: DamagedContent;

  constructor(parts: PullParts) {
    this.#parts = parts;
    this.#damaged = new DamagedContent(parts);
    this.#timer = setInterval(() => void this.flushCounts(), COUNTS_MS);
    this.#timer.unref();
  }

  /** A manifest with its bytes; counts as a pull. Throws `NAME_UNKNOWN` or `MANIFEST_UNKNOWN`. */
  async manifest(repo: RepoName, reference: Reference): Promise<ManifestContent> {
    const { row, bytes } = await this.#find(repo, reference);
    this.#count(repo, row.digest);
    if (this.#parts.hooks.afterPull.length > 0) {
      for (const hook of this.#parts.hooks.afterPull) await hook(repo, row.digest);
    }
    return { digest: row.digest, mediaType: row.mediaType, sizeBytes: bytes.length, bytes };
  }

  /**
   * The manifest and its bytes. One that is deleted between the two was perhaps no longer what the reference names:
   * then what it names now is the answer, so that a tag that moves is never found absent.
   */
  async #find(repo: RepoName, reference: Reference): Promise<{ row: ManifestRow; bytes: Buffer }> {
    let row = await this.#row(repo, reference);
    for (let attempt = 1; ; attempt += 1) {
      const bytes = this.#cache.get(row.digest) ?? (await this.#load(repo, row, reference));
      if (bytes !== null) return { row, bytes };
      const now = await this.#row(repo, reference);
      if (now.digest === row.digest) await this.#noteMissing(repo, row.digest);
      if (now.digest === row.digest || attempt >= FINDS_MAX) throw unknownManifest(reference);
      row = now;
    }
  }

  /**
   * What a manifest is, without its bytes, which are proven all the same: a client that is told that it is there does
   * not push it again.
   */
  async statManifest(repo: RepoName, reference: Reference): Promise<ManifestRow> {
    const { row, bytes } = await this.#find(repo, reference);
    return { ...row, sizeBytes: bytes.length };
  }

  async #row(repo: RepoName, reference: Reference): Promise<ManifestRow> {
    const { freshness, index, hooks } = this.#parts;
    if (!freshness.isFresh(repo)) await freshness.check(repo);
    const row = await index.findManifest(repo, reference);
    if (row !== null && (row.isDamaged !== true || (await this.#damaged.isMended(repo, row.digest))))
      return row;
    for (const hook of hooks.manifestMissing) {
      if (!(await hook(repo, reference))) continue;
      const fetched = await index.findManifest(repo, reference);
      if (fetched !== null && fetched.isDamaged !== true) return fetched;
    }
    if (row !== null) throw damagedManifest(reference, row.digest);
    throw await this.#unknown(repo, reference);
  }

  async #noteMissing(repo: RepoName, digest: Digest): Promise<void> {
    this.#reportDamage(`the manifest ${digest} of ${repo} is missing`);
    await this.#damaged.note(repo, digest);
  }

  async #unknown(repo: RepoName, reference: Reference): Promise<RegistryError> {
    if ((await this.#parts.index.findRepository(repo)) === null) {
      return new RegistryError('NAME_UNKNOWN', { detail: { name: repo } });
    }
    return unknownManifest(reference);
  }

  async #load(repo: RepoName, row: ManifestRow, reference: Reference): Promise<Buffer | null> {
    const bytes = await this.#readProven(repo, row.digest, reference);
    if (bytes !== null) this.#cache.set(row.digest, bytes, bytes.length);
    return bytes;
  }

  async #readProven(repo: RepoName, digest: Digest, reference: Reference): Promise<Buffer | null> {
    try {
      return await this.#parts.storage.repository(repo).readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
    } catch (cause) {
      if (cause instanceof StorageError && cause.fault === 'corrupt') {
        this.#reportDamage(`the manifest ${digest} of ${repo} is damaged`);
        await this.#damaged.note(repo, digest);
        throw damagedManifest(reference, digest, cause);
      }
      if (cause instanceof StorageError) await this.#damaged.note(repo, digest);
      throw cause;
    }
  }

  /** What a blob is. Throws `BLOB_UNKNOWN`. */
  async statBlob(repo: RepoName, digest: Digest): Promise<BlobContent> {
    await this.#requireSound(repo, digest);
    const stat = await this.#parts.storage.repository(repo).statBlob(digest);
    if (stat === null) throw await this.#noBlob(repo, digest);
    return this.#describe(repo, digest, stat.sizeBytes);
  }

  /** Throws `BLOB_UNKNOWN` unless a file of this name is there, sound or not. */
  async requireFile(repo: RepoName, digest: Digest): Promise<void> {
    const stat = await this.#parts.storage.repository(repo).statBlob(digest);
    if (stat === null || (await this.#parts.index.isTombstoned(repo, digest))) throw unknownBlob(digest);
  }

  /** Opens a blob for reading. Throws `BLOB_UNKNOWN`, also where the file does not have the size it must have. */
  async openBlob(repo: RepoName, digest: Digest): Promise<OpenBlob> {
    await this.#requireSound(repo, digest);
    const reader = await this.#open(repo, digest);
    if (reader === null) throw await this.#noBlob(repo, digest);
    try {
      return { ...(await this.#describe(repo, digest, reader.sizeBytes)), reader };
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  /**
   * Throws `BLOB_UNKNOWN` for a blob that counts as absent. Asked before the file is opened: what is mended afterwards
   * has another file.
   */
  async #requireSound(repo: RepoName, digest: Digest): Promise<void> {
    const { index, hooks } = this.#parts;
    const absence = await index.whyAbsent(repo, digest);
    if (absence === null) return;
    if (absence === 'tombstoned') throw unknownBlob(digest);
    if (await this.#damaged.isMended(repo, digest)) return;
    for (const hook of hooks.blobMissing)
      if ((await hook(repo, digest)) && (await index.whyAbsent(repo, digest)) === null) return;
    throw damagedBlob(digest);
  }

  /** A blob that the index knows and whose file is gone is damage, too. */
  async #noBlob(repo: RepoName, digest: Digest): Promise<RegistryError> {
    if ((await this.#parts.index.findBlob(repo, digest)) !== null) await this.#damaged.note(repo, digest);
    return unknownBlob(digest);
  }

  async #open(repo: RepoName, digest: Digest): Promise<FileReader | null> {
    const reader = await this.#openFile(repo, digest);
    if (reader !== null) return reader;
    for (const hook of this.#parts.hooks.blobMissing)
      if (await hook(repo, digest)) return this.#openFile(repo, digest);
    return null;
  }

  /** A file that cannot be opened is out of reach for this request, and looked at by the keeper. */
  async #openFile(repo: RepoName, digest: Digest): Promise<FileReader | null> {
    try {
      return await this.#parts.storage.repository(repo).openBlob(digest);
    } catch (error) {
      if (error instanceof StorageError) await this.#damaged.note(repo, digest);
      throw error;
    }
  }

  /** A file whose size is not the one it was stored with is damaged: absent for clients, so that they push it again. */
  async #describe(repo: RepoName, digest: Digest, sizeBytes: number): Promise<BlobContent> {
    const { index } = this.#parts;
    const known = await index.findBlob(repo, digest);
    if (known !== null && known.sizeBytes !== sizeBytes) {
      const sizes = `it has ${sizeBytes} bytes, not ${known.sizeBytes}`;
      this.#reportDamage(`the blob ${digest} of ${repo} is damaged: ${sizes}`);
      // Where a manifest gave it a wrong size, its bytes may be right all the same: then that size is known now.
      await this.#damaged.note(repo, digest);
      if ((await index.findBlob(repo, digest))?.sizeBytes !== sizeBytes) throw damagedBlob(digest);
    }
    return { digest, sizeBytes, mediaType: (await index.findBlobMediaType(repo, digest)) ?? OCTET_STREAM };
  }

  /** Tells of a blob that could not be sent to its end, as far as the storage is to blame. */
  async noteBroken(repo: RepoName, digest: Digest): Promise<void> {
    await this.#damaged.note(repo, digest);
  }

  #reportDamage(problem: string): void {
    this.#parts.report('the storage is damaged', new Error(problem));
  }

  #count(repo: RepoName, digest: Digest): void {
    const key = `${repo} ${digest}`;
    const count = this.#counts.get(key);
    if (count === undefined) {
      if (this.#counts.size < COUNTS_MAX)
        this.#counts.set(key, { repo, digest, pulls: 1, lastPullMs: Date.now() });
      return;
    }
    count.pulls += 1;
    count.lastPullMs = Date.now();
  }

  /** Hands the counts gathered so far to the keeper; what it cannot take now is kept for the next time. */
  async flushCounts(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counts: PullCount[] = [...this.#counts.values()];
    this.#counts.clear();
    try {
      await this.#parts.keeper.addPulls(counts);
    } catch {
      for (const count of counts)
        if (this.#counts.size < COUNTS_MAX) this.#counts.set(`${count.repo} ${count.digest}`, count);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flushCounts();
  }
}

function unknownManifest(reference: Reference): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    detail: { reference: referenceText(reference).slice(0, 200) },
  });
}

function unknownBlob(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', { detail: { digest } });
}
