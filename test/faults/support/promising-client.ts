import assert from 'node:assert/strict';
import { parseDigest } from '#oci/digest';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import type { BodySource, Registry } from '#registry';
import type { Content, Image, Manifest } from './images.ts';
import type { PowerCutDisk } from './power-cut-disk.ts';

/** What was acknowledged: a text that says what is missing, or null. */
export type Promised = (registry: Registry) => Promise<string | null>;
export type Disk = PowerCutDisk<Promised>;

function bodyOf(bytes: Buffer): BodySource {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, bytes.length >> 1);
    yield bytes.subarray(bytes.length >> 1);
  }
  return Object.assign(pieces(), { stop: () => undefined });
}

/** A client that promises itself what it was told. */
export class PromisingClient {
  #registry: Registry;
  #disk: Pick<Disk, 'acknowledge'>;
  #repo: RepoName;

  constructor(registry: Registry, disk: Pick<Disk, 'acknowledge'>, repo: string) {
    this.#registry = registry;
    this.#disk = disk;
    this.#repo = parseRepoName(repo);
  }

  async pushBlob(blob: Content): Promise<void> {
    const digest = parseDigest(blob.digest);
    await this.#registry.uploads.pushWhole(this.#repo, digest, { source: bodyOf(blob.bytes) });
    this.#promise(`blob ${digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  async pushBlobInPieces(blob: Content): Promise<void> {
    const upload = { repo: this.#repo, id: await this.#registry.uploads.start(this.#repo) };
    await this.#registry.uploads.append(upload, { source: bodyOf(blob.bytes) });
    await this.#registry.uploads.finish(upload, parseDigest(blob.digest), null);
    this.#promise(`blob ${blob.digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  async mount(blob: Content, from: string): Promise<void> {
    const digest = parseDigest(blob.digest);
    assert.ok(await this.#registry.mountBlob(this.#repo, digest, parseRepoName(from), () => true));
    this.#promise(`mounted ${digest}`, (registry) => readBlob(registry, this.#repo, blob));
  }

  /** `successors`: what may stand under the tag later. */
  async push(manifest: Manifest, tag: string, successors: readonly (Manifest | null)[] = []): Promise<void> {
    const { mediaType, bytes } = manifest;
    const reference = readReference(tag);
    await this.#registry.pushManifest({ repo: this.#repo, reference, mediaType, bytes, tags: [] });
    this.#promiseTag(tag, [manifest, ...successors]);
  }

  async pushImage(image: Image, tag: string, successors: readonly (Manifest | null)[] = []): Promise<void> {
    for (const [at, blob] of image.blobs.entries()) {
      await (at % 2 === 0 ? this.pushBlob(blob) : this.pushBlobInPieces(blob));
    }
    await this.push(image.manifest, tag, successors);
  }

  async deleteTag(tag: string): Promise<void> {
    await this.#registry.deleteManifest(this.#repo, readReference(tag));
    this.#promiseTag(tag, [null]);
  }

  async deleteManifest(manifest: Manifest): Promise<void> {
    const reference = readReference(manifest.digest);
    await this.#registry.deleteManifest(this.#repo, reference);
    this.#promise(`removal of ${manifest.digest}`, async (registry) => {
      const found = await orNull(registry.pullManifest(this.#repo, reference));
      return found === null ? 'held' : 'it is there again';
    });
  }

  #promiseTag(tag: string, allowed: readonly (Manifest | null)[]): void {
    const digests = allowed.map((manifest) => manifest?.digest ?? null);
    this.#promise(`tag ${tag}`, async (registry) => {
      const found = await orNull(registry.pullManifest(this.#repo, readReference(tag)));
      return digests.includes(found?.digest ?? null) ? 'held' : `it names ${found?.digest ?? 'nothing'}`;
    });
  }

  #promise(what: string, holds: (registry: Registry) => Promise<string>): void {
    this.#disk.acknowledge(async (registry) => {
      const found = await holds(registry);
      return found === 'held' ? null : `${this.#repo} lost ${what}: ${found}`;
    });
  }
}

async function readBlob(registry: Registry, repo: RepoName, blob: Content): Promise<string> {
  const opened = await orNull(registry.openBlob(repo, parseDigest(blob.digest)));
  if (opened === null) return 'absent';
  try {
    const bytes = Buffer.alloc(blob.bytes.length);
    await opened.reader.read(bytes, 0);
    return bytes.equals(blob.bytes) && opened.sizeBytes === bytes.length ? 'held' : 'other bytes';
  } finally {
    await opened.reader.close();
  }
}

async function orNull<Result>(asked: Promise<Result>): Promise<Result | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return null;
    throw error;
  }
}
