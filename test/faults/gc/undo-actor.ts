import assert from 'node:assert/strict';
import { parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { parseTag, readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { NO_TAG_RULES, RegistryError } from '#registry';
import type { LocalKeeper, Registry, TagRules } from '#registry';
import { bodyOf } from './actor.ts';
import { DELAY_MS } from './collected-registry.ts';
import type { CollectedRegistry } from './collected-registry.ts';
import { BLOBS, PIECES } from './model.ts';
import type { Piece } from './model.ts';

export const UNDO_MS = 5 * DELAY_MS;
export const UNDO: TagRules = { ...NO_TAG_RULES, undoMs: () => UNDO_MS, shortestUndoMs: UNDO_MS };
const REPO = parseRepoName('team/app');
const SIGNATURE = 3;
const SIGNED = 0;

interface Told {
  readonly kind: string;
  readonly piece: number;
  readonly previous: number | null;
}

const digestOf = (piece: number): Digest => parseDigest((PIECES[piece] as Piece).manifest.digest);
const pieceOf = (digest: string): number => PIECES.findIndex(({ manifest }) => manifest.digest === digest);

/** Changes tags, takes changes back, and knows what must be there for that. Times are of the steady clock. */
export class UndoActor {
  /** What each tag names. */
  readonly #tags = new Map<string, number>();
  /** What its history must tell, the newest last. */
  readonly #told = new Map<string, Told[]>();
  readonly #goneMs = new Map<string, number>();
  /** Pieces that lost a tag or were deleted, and when. */
  readonly #lost = new Map<number, number>();
  /** Until when the signature must stay, since what it signs is held. */
  #signatureUntilMs = 0;
  #collected: CollectedRegistry;

  constructor(collected: CollectedRegistry) {
    this.#collected = collected;
    this.#keeper.tags.use(UNDO);
  }

  get #registry(): Registry {
    return this.#collected.opened.registry;
  }

  get #keeper(): LocalKeeper {
    return this.#collected.opened.keeper;
  }

  get #nowMs(): number {
    return this.#collected.clock.elapsedMs();
  }

  /** After the process began anew. */
  begin(): void {
    this.#keeper.tags.use(UNDO);
  }

  /** Pushes a piece with everything that it needs; the signature without a tag, since it goes with what it signs. */
  async push(piece: number, asked: string | null): Promise<void> {
    const tag = piece === SIGNATURE ? null : asked;
    const { manifest, blobs, children } = PIECES[piece] as Piece;
    for (const child of children) await this.push(child, null);
    for (const { bytes, digest } of blobs)
      await this.#registry.uploads.pushWhole(REPO, parseDigest(digest), { source: bodyOf(bytes) });
    const { mediaType, bytes } = manifest;
    const reference = readReference(tag ?? manifest.digest);
    await this.#registry.pushManifest({ repo: REPO, reference, mediaType, bytes, tags: [] });
    if (tag !== null) this.#name(tag, piece, false);
  }

  #name(tag: string, piece: number, restores: boolean): void {
    const previous = this.#tags.get(tag) ?? null;
    if (previous === piece) return;
    this.#tell(tag, {
      kind: restores ? 'restored' : previous === null ? 'created' : 'moved',
      piece,
      previous,
    });
    this.#tags.set(tag, piece);
    this.#goneMs.delete(tag);
    if (previous !== null) this.#lose(previous);
  }

  #unname(tag: string, kind: string): void {
    const piece = this.#tags.get(tag) as number;
    this.#tags.delete(tag);
    this.#tell(tag, { kind, piece, previous: piece });
    this.#goneMs.set(tag, this.#nowMs);
  }

  #tell(tag: string, told: Told): void {
    this.#told.set(tag, [...(this.#told.get(tag) ?? []), told]);
  }

  #lose(piece: number): void {
    this.#lost.set(piece, this.#nowMs);
  }

  async deleteTag(tag: string): Promise<void> {
    if (!this.#tags.has(tag)) return;
    await this.#registry.deleteManifest(REPO, { kind: 'tag', tag: parseTag(tag) });
    this.#lose(this.#tags.get(tag) as number);
    this.#unname(tag, 'deleted');
  }

  async deleteManifest(piece: number): Promise<void> {
    const reference = { kind: 'digest', digest: digestOf(piece) } as const;
    const isSigned = piece === SIGNED && (await this.#isStored(SIGNATURE));
    const deleted = this.#registry.deleteManifest(REPO, reference);
    if (await isRefused(deleted)) return;
    this.#lose(piece);
    if (isSigned) this.#signatureUntilMs = this.#nowMs + UNDO_MS;
    if (piece === SIGNATURE) this.#signatureUntilMs = 0;
    for (const [tag, named] of this.#tags) if (named === piece) this.#unname(tag, 'manifestDeleted');
    assert.equal(await this.#isStored(piece), false);
  }

  async deleteBlob(at: number): Promise<void> {
    const digest = parseDigest((BLOBS[at] as (typeof BLOBS)[number]).digest);
    if (await isRefused(this.#registry.deleteBlob(REPO, digest))) return;
    assert.ok(await isRefused(this.#registry.statBlob(REPO, digest)), 'a deleted blob is there for clients');
  }

  async restore(tag: string, digest: number | null): Promise<void> {
    if (digest === SIGNATURE) return;
    const target = digest ?? this.#before(tag);
    const order = { repo: REPO, tag: parseTag(tag), atMs: null, by: 'op' };
    const wanted = digest === null ? null : digestOf(digest);
    const restored = this.#keeper.tags.restore({ ...order, digest: wanted });
    const refused = await isRefused(restored);
    if (target === null) return assert.ok(refused);
    const isPromised = this.#isPromised(target) || [...this.#tags.values()].includes(target);
    assert.ok(!refused || !isPromised, `${tag} could not be restored to ${target}`);
    if (refused) return;
    assert.equal((await restored).digest, digestOf(target));
    this.#name(tag, target, true);
    await this.#requireWhole(target);
  }

  /** What a tag named before its last change. */
  #before(tag: string): number | null {
    const [last, older] = (this.#told.get(tag) ?? []).toReversed();
    if (last === undefined) return null;
    if (!this.#tags.has(tag)) return this.#isForgotten(tag) ? null : last.piece;
    return last.previous ?? older?.piece ?? null;
  }

  #isForgotten(tag: string): boolean {
    const goneMs = this.#goneMs.get(tag);
    return goneMs !== undefined && this.#nowMs - goneMs >= UNDO_MS;
  }

  #isPromised(piece: number): boolean {
    return this.#nowMs - (this.#lost.get(piece) ?? -Infinity) < UNDO_MS;
  }

  async purge(piece: number): Promise<void> {
    const reference = { kind: 'digest', digest: digestOf(piece) } as const;
    const purged = this.#keeper.tags.purge({ repo: REPO, reference, by: 'op' });
    if (await isRefused(purged)) return;
    this.#lost.delete(piece);
    if (piece === SIGNED && (await this.#isStored(SIGNATURE))) this.#signatureUntilMs = 0;
    if (piece === SIGNATURE) this.#signatureUntilMs = 0;
    for (const [tag, named] of this.#tags) if (named === piece) this.#unname(tag, 'purged');
    assert.equal(await this.#isStored(piece), false);
    const { kept } = await purged;
    const store = this.#collected.opened.storage.repository(REPO);
    const isKept = kept.some(({ digest }) => digest === digestOf(piece));
    assert.equal((await store.statBlob(digestOf(piece))) !== null, isKept, 'the bytes after a purge');
  }

  async #isStored(piece: number): Promise<boolean> {
    const reference = { kind: 'digest', digest: digestOf(piece) } as const;
    return (await this.#collected.opened.index.findManifest(REPO, reference)) !== null;
  }

  /** Tags are as they must be, their history tells of it, and what was lost is there to be restored. */
  async require(): Promise<void> {
    for (const tag of this.#told.keys()) await this.#requireTold(tag);
    for (const piece of this.#tags.values()) await this.#requireWhole(piece);
    const store = this.#collected.opened.storage.repository(REPO);
    for (const piece of this.#lost.keys()) {
      if (!this.#isPromised(piece)) continue;
      for (const digest of everythingOf(piece))
        assert.ok(await store.statBlob(digest), `${piece}: ${digest}`);
    }
    if (this.#nowMs < this.#signatureUntilMs) assert.ok(await this.#isStored(SIGNATURE), 'the signature');
  }

  async #requireTold(name: string): Promise<void> {
    const tag = parseTag(name);
    const row = await this.#collected.opened.index.findManifest(REPO, { kind: 'tag', tag });
    const named = this.#tags.get(name);
    assert.equal(row?.digest, named === undefined ? undefined : digestOf(named), name);
    const range = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 1000 };
    const page = await this.#keeper.listTagEvents(REPO, tag, range);
    const found = (page?.events ?? []).map(({ kind, digest }) => ({ kind, piece: pieceOf(digest) }));
    const told = (this.#told.get(name) ?? []).map(({ kind, piece }) => ({ kind, piece }));
    // Forgotten when it is gone for long, and begun anew then.
    if (this.#isForgotten(name) && found.length === 0) this.#told.set(name, []);
    else assert.deepEqual(found.toReversed(), told, name);
  }

  async #requireWhole(piece: number): Promise<void> {
    const { manifest, blobs, children } = PIECES[piece] as Piece;
    const { bytes } = await this.#registry.pullManifest(REPO, readReference(manifest.digest));
    assert.ok(bytes.equals(manifest.bytes));
    for (const { digest } of blobs) await this.#registry.statBlob(REPO, parseDigest(digest));
    for (const child of children) await this.#requireWhole(child);
  }

  /** When nothing can be undone any more and all garbage is collected: what is named is there, and nothing else. */
  async requireNoGarbage(): Promise<void> {
    await this.require();
    const { storage, records } = this.#collected.opened;
    const kept = new Set([...this.#tags.values()].flatMap(everythingOf));
    const signs = [...this.#tags.values()].some((piece) => everythingOf(piece).includes(digestOf(SIGNED)));
    const found = await Array.fromAsync(storage.repository(REPO).listBlobs());
    const ofSignature = everythingOf(SIGNATURE);
    // A signature stays with what it signs, if it was pushed.
    const extra = found.filter((digest) => !kept.has(digest) && !(signs && ofSignature.includes(digest)));
    assert.deepEqual(extra, []);
    assert.deepEqual(await records.history.listHolds({ beforeMs: Infinity, after: null, limit: 9 }), []);
  }
}

function everythingOf(piece: number): Digest[] {
  const { blobs, children } = PIECES[piece] as Piece;
  return [
    digestOf(piece),
    ...blobs.map(({ digest }) => parseDigest(digest)),
    ...children.flatMap(everythingOf),
  ];
}

/** Whether it was refused as something that cannot be done. */
async function isRefused(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return false;
  } catch (error) {
    const refusals = [400, 404, 405];
    if (error instanceof RegistryError && refusals.includes(error.status)) return true;
    throw error;
  }
}
