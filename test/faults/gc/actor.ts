import assert from 'node:assert/strict';
import { parseDigest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import type { BodySource, Registry } from '#registry';
import { DELAY_MS } from './collected-registry.ts';
import type { CollectedRegistry } from './collected-registry.ts';
import { BLOBS, PIECES, RepositoryModel } from './model.ts';
import type { Piece } from './model.ts';

export const REPOS: readonly RepoName[] = ['team/app', 'team/app/more'].map(parseRepoName);
export const TAGS = ['v1', 'latest'];

export function bodyOf(...parts: readonly Buffer[]): BodySource {
  async function* pieces(): AsyncGenerator<Buffer> {
    // Copies: whoever takes a piece of a body gives its memory back.
    for (const part of parts) yield Buffer.from(part);
  }
  return Object.assign(pieces(), { stop: () => undefined });
}

/** Whether a content may be refused, since its bytes are not right any more. */
export type Excuse = (repo: RepoName, digest: string) => boolean;

/** Does what clients do, and knows what they may rely on from then on. */
export class Actor {
  readonly models = new Map(REPOS.map((repo) => [repo, new RepositoryModel()]));
  #collected: CollectedRegistry;
  #isExcused: Excuse;

  constructor(collected: CollectedRegistry, isExcused: Excuse = () => false) {
    this.#collected = collected;
    this.#isExcused = isExcused;
  }

  get #registry(): Registry {
    return this.#collected.opened.registry;
  }

  get #nowMs(): number {
    return this.#collected.clock.elapsedMs();
  }

  model(repo: RepoName): RepositoryModel {
    return this.models.get(repo) as RepositoryModel;
  }

  async upload(repo: RepoName, at: number): Promise<void> {
    const { bytes, digest } = BLOBS[at] as (typeof BLOBS)[number];
    const half = bytes.length >> 1;
    const upload = { repo, id: await this.#registry.uploads.start(repo) };
    await this.#registry.uploads.append(upload, { source: bodyOf(bytes.subarray(0, half)) });
    const rest = { source: bodyOf(bytes.subarray(half)), offset: half };
    await this.#registry.uploads.finish(upload, parseDigest(digest), rest);
    this.model(repo).stored.set(digest, this.#nowMs);
  }

  /** An upload that is begun and never finished. */
  async giveUp(repo: RepoName): Promise<void> {
    const upload = { repo, id: await this.#registry.uploads.start(repo) };
    await this.#registry.uploads.append(upload, { source: bodyOf(Buffer.from('never finished')) });
  }

  async look(repo: RepoName, at: number): Promise<void> {
    const { digest } = BLOBS[at] as (typeof BLOBS)[number];
    const found = await orNull(this.#registry.statBlob(repo, parseDigest(digest)));
    if (found !== null) this.model(repo).seen.set(digest, this.#nowMs);
  }

  async mount(repo: RepoName, from: RepoName, at: number): Promise<void> {
    const { digest } = BLOBS[at] as (typeof BLOBS)[number];
    const stands = await this.#registry.mountBlob(repo, parseDigest(digest), from, () => true);
    if (stands) this.model(repo).stored.set(digest, this.#nowMs);
  }

  async push(repo: RepoName, at: number, tag: string | null): Promise<void> {
    const model = this.model(repo);
    const piece = PIECES[at] as Piece;
    const index = this.#collected.opened.index;
    for (const child of piece.children) {
      const digest = parseDigest((PIECES[child] as Piece).manifest.digest);
      const isThere = (await index.findManifest(repo, { kind: 'digest', digest })) !== null;
      // What bytes alone are left of may lack what a client deleted: that is the client's doing.
      if (!isThere && model.deleted) return;
      if (!isThere) model.manifests.delete(child);
    }
    const promised = this.#promises(repo, piece);
    const kept = model.kept(this.#nowMs, DELAY_MS);
    const { manifest } = piece;
    const reference = readReference(tag ?? manifest.digest);
    const push = { repo, reference, mediaType: manifest.mediaType, bytes: manifest.bytes, tags: [] };
    const result = await this.#registry.pushManifest(push).catch((error: unknown) => error);
    if (result instanceof RegistryError && result.code === 'MANIFEST_BLOB_UNKNOWN') {
      assert.ok(!promised, `a push lost what it relied on: ${result.message}`);
      return;
    }
    if (result instanceof Error) throw result;
    if (tag !== null) this.#move(model, tag, at);
    await this.#forgetAbsentOf(repo, kept);
    this.#exists(model, at);
  }

  /** Whether everything that a manifest needs is held, was acknowledged, or was seen within the delay. */
  #promises(repo: RepoName, piece: Piece): boolean {
    const model = this.model(repo);
    const nowMs = this.#nowMs;
    const held = model.needed(model.kept(nowMs, DELAY_MS));
    const isYoung = (times: Map<string, number>, digest: string): boolean =>
      nowMs - (times.get(digest) ?? -Infinity) < DELAY_MS;
    const needs = [
      ...piece.blobs.map(({ digest }) => digest),
      ...piece.children.map((child) => (PIECES[child] as Piece).manifest.digest),
    ];
    return needs.every(
      (digest) =>
        !this.#isExcused(repo, digest) &&
        (held.has(digest) || isYoung(model.stored, digest) || isYoung(model.seen, digest)),
    );
  }

  #move(model: RepositoryModel, tag: string, to: number): void {
    const before = model.tags.get(tag);
    model.tags.set(tag, to);
    if (before !== undefined && before !== to) model.touch([before], this.#nowMs);
  }

  #exists(model: RepositoryModel, at: number): void {
    model.manifests.set(at, this.#nowMs);
    for (const child of (PIECES[at] as Piece).children)
      if (!model.manifests.has(child)) model.manifests.set(child, this.#nowMs);
  }

  async deleteTag(repo: RepoName, tag: string): Promise<void> {
    const model = this.model(repo);
    const deleted = this.#registry.deleteManifest(repo, { kind: 'tag', tag: parseTag(tag) });
    if ((await orNull(deleted)) === null) return;
    const piece = model.tags.get(tag);
    model.tags.delete(tag);
    if (piece !== undefined) model.touch([piece], this.#nowMs);
  }

  async deleteManifest(repo: RepoName, at: number): Promise<void> {
    const model = this.model(repo);
    const { manifest, children } = PIECES[at] as Piece;
    const reference = { kind: 'digest', digest: parseDigest(manifest.digest) } as const;
    const deleted = this.#registry.deleteManifest(repo, reference);
    if ((await orNull(deleted)) === null) return;
    model.deleted = true;
    model.forget(at);
    model.seen.delete(manifest.digest);
    const referrers = PIECES.flatMap((piece, other) => (piece.subject === at ? [other] : []));
    model.touch([...children, ...referrers], this.#nowMs);
    // With an index, children go that were known only through it.
    await this.#forgetAbsentOf(repo, new Set());
  }

  async deleteBlob(repo: RepoName, at: number): Promise<void> {
    const { digest } = BLOBS[at] as (typeof BLOBS)[number];
    if ((await orNull(this.#registry.deleteBlob(repo, parseDigest(digest)))) === null) return;
    const model = this.model(repo);
    model.deleted = true;
    model.stored.delete(digest);
    model.seen.delete(digest);
  }

  /** Takes out of the models what may be collected and is. */
  async forgetAbsent(): Promise<void> {
    for (const [repo, model] of this.models) {
      await this.#forgetAbsentOf(repo, model.kept(this.#nowMs, DELAY_MS));
    }
  }

  /** What nothing kept before something was done may have been collected before it was done. */
  async #forgetAbsentOf(repo: RepoName, kept: ReadonlySet<number>): Promise<void> {
    const model = this.model(repo);
    for (const piece of model.manifests.keys()) {
      const digest = parseDigest((PIECES[piece] as Piece).manifest.digest);
      if (kept.has(piece)) continue;
      const found = await this.#collected.opened.index.findManifest(repo, { kind: 'digest', digest });
      if (found === null) model.forget(piece);
    }
  }

  /** What is held is whole and readable; what was acknowledged or seen within the delay has its bytes. */
  async requirePromises(): Promise<void> {
    await this.forgetAbsent();
    for (const [repo, model] of this.models) {
      const kept = model.kept(this.#nowMs, DELAY_MS);
      for (const piece of kept) await this.#requireWhole(repo, PIECES[piece] as Piece);
      for (const [tag, piece] of model.tags) {
        const { digest } = (PIECES[piece] as Piece).manifest;
        if (!kept.has(piece) || this.#isExcused(repo, digest)) continue;
        const found = await this.#registry.statManifest(repo, readReference(tag));
        assert.equal(found.digest, digest, `${repo}:${tag}`);
      }
      for (const [digest, atMs] of model.stored) {
        if (this.#nowMs - atMs >= DELAY_MS || this.#isExcused(repo, digest)) continue;
        await this.#registry.statBlob(repo, parseDigest(digest));
      }
      for (const [digest, atMs] of model.seen) {
        if (this.#nowMs - atMs >= DELAY_MS) continue;
        const stat = await this.#collected.opened.storage.repository(repo).statBlob(parseDigest(digest));
        assert.ok(stat, `${digest} was seen in ${repo} ${this.#nowMs - atMs} ms ago and is gone`);
      }
    }
  }

  async #requireWhole(repo: RepoName, { manifest, blobs }: Piece): Promise<void> {
    if (!this.#isExcused(repo, manifest.digest)) {
      const { bytes } = await this.#registry.pullManifest(repo, readReference(manifest.digest));
      assert.ok(bytes.equals(manifest.bytes));
    }
    for (const { digest } of blobs) {
      if (this.#isExcused(repo, digest)) continue;
      const blob = await this.#registry.openBlob(repo, parseDigest(digest));
      await blob.reader.close();
    }
  }

  /** When all garbage is collected: what is held is there, and nothing else is. */
  async requireNoGarbage(): Promise<void> {
    await this.requirePromises();
    const { storage, index } = this.#collected.opened;
    for (const [repo, model] of this.models) {
      const kept = model.kept(Infinity, DELAY_MS);
      const files = await Array.fromAsync(storage.repository(repo).listBlobs());
      assert.deepEqual(files.toSorted(), [...model.needed(kept)].toSorted(), `the blobs of ${repo}`);
      assert.deepEqual(await Array.fromAsync(storage.repository(repo).listUploads()), []);
      assert.equal((await index.findRepository(repo)) !== null, kept.size > 0, `whether ${repo} is there`);
    }
    assert.deepEqual(await index.listTombstones({ beforeMs: Infinity, after: null, limit: 9 }), []);
  }
}

async function orNull<Result>(asked: Promise<Result>): Promise<Result | true | null> {
  try {
    return (await asked) ?? true;
  } catch (error) {
    if (error instanceof RegistryError && [404, 405].includes(error.status)) return null;
    throw error;
  }
}
