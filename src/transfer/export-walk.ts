import { WeightedLru } from '#lib/weighted-lru';
import type { Digest } from '#oci/digest';
import { digestHex, digestAlgorithm } from '#oci/digest';
import { projectManifest } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import { storedTag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { IndexEntry, RepositoryStore } from '#storage';
import { descriptorJson } from '#storage';
import { untaggedEntry } from './export-selection.ts';
import type { ExportParts } from './export-selection.ts';
import type { LayoutSink } from './layout-sink.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { isOfContent } from './take-roots.ts';
import type { Tally } from './tally.ts';

export interface ExportWalkParts extends ExportParts {
  readonly tally: Tally;
  readonly sink: LayoutSink;
  /** Whether signatures and the like go with what they are about. */
  readonly referrers: boolean;
}

/** Manifests of other tools may be larger than those we accept. */
const MANIFEST_BYTES_MAX = 64 * 1024 * 1024;
const DEPTH_MAX = 16;
const DONE_MAX = 200_000;
/** Referrers of referrers are followed this far. */
const REFERRER_STEPS_MAX = 8;
/** Names under which signatures stand that older clients made. */
const LEGACY_SUFFIXES = ['', '.sig', '.att', '.sbom'];

/** Carries manifests of one repository, with everything that they need, into a layout. */
export class ExportWalk {
  #parts: ExportWalkParts;
  #repo: RepoName;
  #store: RepositoryStore;
  #done = new WeightedLru<Digest, true>(DONE_MAX);

  constructor(parts: ExportWalkParts, repo: RepoName) {
    this.#parts = parts;
    this.#repo = repo;
    this.#store = parts.storage.repository(repo);
  }

  /**
   * Carries the manifests of these entries, and gives the entries of all that is complete in the layout. What cannot
   * be read is skipped and named.
   */
  async carry(entries: readonly IndexEntry[]): Promise<IndexEntry[]> {
    const complete = new Map<string, IndexEntry>();
    let pending = entries;
    for (let step = 0; pending.length > 0 && step <= REFERRER_STEPS_MAX; step += 1) {
      const reached = new Set<Digest>();
      for (const entry of pending) {
        const carried = await this.#carryOne(entry);
        if (carried === null) continue;
        complete.set(keyOf(entry), entry);
        this.#parts.tally.add({ tags: entry.tag === null ? 0 : 1 });
        for (const digest of carried) reached.add(digest);
      }
      pending = this.#parts.referrers ? await this.#about(reached, complete) : [];
    }
    return [...complete.values()];
  }

  /** Gives the manifests that were carried, those that it lists included; `null` when it was skipped or is gone. */
  async #carryOne({ descriptor, tag }: IndexEntry): Promise<ReadonlySet<Digest> | null> {
    const reached = new Set<Digest>();
    try {
      await this.#manifest(descriptor.digest, descriptor.mediaType, reached);
      return reached;
    } catch (error) {
      if (!isOfContent(error) || this.#parts.sink.isBroken) throw error;
      // Clients go on meanwhile: what they deleted is not missed.
      const { digest } = descriptor;
      const still = await this.#parts.index.findManifest(this.#repo, { kind: 'digest', digest });
      if (still === null) return null;
      this.#parts.tally.skip(`${this.#repo} ${tag ?? descriptor.digest}`, printable(error.message));
      return null;
    }
  }

  async #manifest(digest: Digest, mediaType: string, reached: Set<Digest>, depth = 0): Promise<void> {
    // Indexes that list each other's children have more ways down than anybody could go.
    if (reached.has(digest)) return;
    if (depth > DEPTH_MAX) throw new TransferRefusal(`its indexes are nested more than ${DEPTH_MAX} deep`);
    reached.add(digest);
    if (this.#done.get(digest) !== undefined && manifestKind(mediaType) !== 'index') return;
    const bytes = await this.#store.readManifest(digest, MANIFEST_BYTES_MAX);
    if (bytes === null) throw new TransferRefusal(`the manifest ${digest} is missing`);
    // What this program cannot read is carried as it is; nobody knows what it needs.
    const references = manifestKind(mediaType) === null ? [] : projectManifest(bytes, mediaType).references;
    for (const reference of references) {
      if (reference.role !== 'child') await this.#blob(reference);
      else if (manifestKind(reference.mediaType) === null) await this.#blob(reference);
      else await this.#manifest(reference.digest, reference.mediaType, reached, depth + 1);
    }
    if (this.#done.get(digest) !== undefined) return;
    await this.#parts.sink.putManifest(digest, bytes);
    this.#done.set(digest, true);
    this.#parts.tally.add({ manifests: 1 });
  }

  async #blob(blob: {
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly optional: boolean;
  }): Promise<void> {
    const { sink, tally } = this.#parts;
    if (this.#done.get(blob.digest) !== undefined) return;
    if (await sink.holds(blob)) {
      tally.add({ blobsPresent: 1 });
      this.#done.set(blob.digest, true);
      return;
    }
    const reader = await this.#store.openBlob(blob.digest);
    if (reader === null) {
      if (blob.optional) return;
      throw new TransferRefusal(`the blob ${blob.digest} is missing`);
    }
    try {
      if (reader.sizeBytes !== blob.sizeBytes)
        throw new TransferRefusal(`the blob ${blob.digest} is damaged: it has ${reader.sizeBytes} bytes`);
      await sink.putBlob(blob, reader);
    } finally {
      await reader.close();
    }
    tally.add({ blobsCopied: 1 });
    this.#done.set(blob.digest, true);
  }

  /** What is about these manifests and was not carried yet. */
  async #about(
    digests: ReadonlySet<Digest>,
    complete: ReadonlyMap<string, IndexEntry>,
  ): Promise<IndexEntry[]> {
    const found = new Map<string, IndexEntry>();
    for (const digest of digests) {
      for (const entry of [...(await this.#referrers(digest)), ...(await this.#legacy(digest))])
        if (!complete.has(keyOf(entry))) found.set(keyOf(entry), entry);
    }
    return [...found.values()];
  }

  async #referrers(digest: Digest): Promise<IndexEntry[]> {
    const found: IndexEntry[] = [];
    for (let last = ''; ;) {
      const { listing } = this.#parts.registry;
      const page = await listing.referrers(this.#repo, digest, { artifactTypes: [], last });
      for (const row of page.referrers) found.push(untaggedEntry(row));
      last = page.referrers.at(-1)?.digest ?? '';
      if (!page.more) return found;
    }
  }

  /** The signatures of older clients, which are told by their tags. */
  async #legacy(digest: Digest): Promise<IndexEntry[]> {
    const found: IndexEntry[] = [];
    for (const suffix of LEGACY_SUFFIXES) {
      const tag = storedTag(`${digestAlgorithm(digest)}-${digestHex(digest)}${suffix}`);
      const row = await this.#parts.index.findManifest(this.#repo, { kind: 'tag', tag });
      if (row !== null) found.push({ ...untaggedEntry(row), tag, json: descriptorJson(row, tag) });
    }
    return found;
  }
}

function keyOf({ descriptor, tag }: IndexEntry): string {
  return `${descriptor.digest} ${tag ?? ''}`;
}
