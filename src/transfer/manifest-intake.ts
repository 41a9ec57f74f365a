import { WeightedLru } from '#lib/weighted-lru';
import { digestOf, digestAlgorithm } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import type { ManifestReference } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import type { FileReader } from '#storage';
import type { BlobIntake, ImportParts } from './blob-intake.ts';
import type { Root } from './layout-index.ts';
import { TransferRefusal } from './refusal.ts';

/** Where the contents of an import are. */
export interface ContentSource {
  /** The bytes of a manifest; `null` when it is not there. */
  readManifest(digest: Digest, sizeBytesMax: number): Promise<Buffer | null>;
  /** Opens a blob; `null` when it is not there. */
  openBlob(digest: Digest): Promise<FileReader | null>;
  /** The path of the file that holds a blob, where it may be shared by a link. */
  fileOf?(digest: Digest): string;
}

/** Indexes in indexes are followed this far down. */
const DEPTH_MAX = 16;
const DONE_MAX = 200_000;
const BLOBS_AT_ONCE = 4;

/**
 * Brings manifests into one repository with everything that they need, from the bottom to the top: a manifest is
 * named only when all below it stands.
 */
export class ManifestIntake {
  #parts: ImportParts;
  #blobs: BlobIntake;
  #source: ContentSource;
  #done = new WeightedLru<Digest, true>(DONE_MAX);
  #running = new Map<Digest, Promise<void>>();

  constructor(parts: ImportParts, blobs: BlobIntake, source: ContentSource) {
    this.#parts = parts;
    this.#blobs = blobs;
    this.#source = source;
  }

  /** Takes a manifest with its tags. Throws what is wrong with it, or with what it needs. */
  async take(root: Root): Promise<void> {
    const { tally } = this.#parts;
    await this.#takeOnce(root.digest, root.mediaType, 0);
    if (root.tags.length === 0) return;
    await this.#push(root.digest, root.mediaType, root.tags);
    tally.add({ tags: root.tags.length });
  }

  /** Manifests that several others list are taken once, also when that happens at the same time. */
  async #takeOnce(digest: Digest, mediaType: string, depth: number): Promise<void> {
    if (this.#done.get(digest) !== undefined) return;
    let running = this.#running.get(digest);
    if (running === undefined) {
      running = this.#takeNow(digest, mediaType, depth).finally(() => this.#running.delete(digest));
      this.#running.set(digest, running);
    }
    return running;
  }

  async #takeNow(digest: Digest, mediaType: string, depth: number): Promise<void> {
    if (depth > DEPTH_MAX) throw new TransferRefusal(`its indexes are nested more than ${DEPTH_MAX} deep`);
    const { references } = projectManifest(await this.#read(digest), mediaType);
    const isManifest = ({ role, mediaType: type }: ManifestReference): boolean =>
      role === 'child' && manifestKind(type) !== null;
    for (const child of references.filter(isManifest))
      await this.#takeOnce(child.digest, child.mediaType, depth + 1);
    const blobs = references.filter((reference) => !isManifest(reference));
    for (let at = 0; at < blobs.length; at += BLOBS_AT_ONCE) {
      // Each on its own, so that none is still under way when the first fault is told.
      const some = await Promise.allSettled(
        unique(blobs.slice(at, at + BLOBS_AT_ONCE)).map((blob) => this.#place(blob)),
      );
      for (const result of some) if (result.status === 'rejected') throw result.reason;
    }
    await this.#push(digest, mediaType, []);
    this.#parts.tally.add({ manifests: 1 });
    this.#done.set(digest, true);
  }

  async #read(digest: Digest): Promise<Buffer> {
    const { manifestSizeBytesMax } = this.#parts;
    const bytes = await this.#source.readManifest(digest, manifestSizeBytesMax);
    if (bytes === null) throw new TransferRefusal(`the manifest ${digest} is missing`);
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest)
      throw new TransferRefusal(`the manifest ${digest} is damaged: its bytes have another digest`);
    return bytes;
  }

  async #place(blob: ManifestReference): Promise<void> {
    if (await this.#blobs.holds(blob)) return;
    const file = this.#source.fileOf?.(blob.digest);
    if (file !== undefined && (await this.#blobs.linkFile(blob, file))) return;
    const reader = await this.#source.openBlob(blob.digest);
    if (reader === null) {
      if (blob.optional) return;
      throw new TransferRefusal(`the blob ${blob.digest} is missing`);
    }
    if (reader.sizeBytes !== blob.sizeBytes) {
      await reader.close();
      const sizes = `it has ${reader.sizeBytes} bytes instead of ${blob.sizeBytes}`;
      throw new TransferRefusal(`the blob ${blob.digest} is damaged: ${sizes}`);
    }
    await this.#blobs.pushFile(blob, reader).catch((error: unknown) => {
      if (!(error instanceof RegistryError) || error.code !== 'DIGEST_INVALID') throw error;
      const what = `the blob ${blob.digest} is damaged: its bytes have another digest`;
      throw new TransferRefusal(what, { cause: error });
    });
  }

  async #push(digest: Digest, mediaType: string, tags: Root['tags']): Promise<void> {
    await this.#parts.registry.pushManifest({
      repo: this.#blobs.repo,
      reference: { kind: 'digest', digest },
      mediaType,
      bytes: await this.#read(digest),
      tags,
    });
  }
}

function unique(blobs: readonly ManifestReference[]): ManifestReference[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}
