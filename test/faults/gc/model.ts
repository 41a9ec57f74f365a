import { imageOf, indexOf, contentOf } from '../support/images.ts';
import type { Content, Manifest } from '../support/images.ts';

/** A manifest of the property test, with what it needs. */
export interface Piece {
  readonly manifest: Manifest;
  readonly blobs: readonly Content[];
  readonly children: readonly number[];
  readonly subject: number | null;
}

const layers = ['a', 'b', 'c'].map((name) => contentOf(Buffer.from(`layer ${name} `.repeat(20))));
const [a, b, c] = layers as [Content, Content, Content];
const one = imageOf([a, b], 'one');
const two = imageOf([b, c], 'two');
const subject = {
  subject: {
    mediaType: one.manifest.mediaType,
    digest: one.manifest.digest,
    size: one.manifest.bytes.length,
  },
};
const signature = imageOf([c], 'signature', subject);

const plain = { children: [], subject: null };
export const PIECES: readonly Piece[] = [
  { ...one, ...plain },
  { ...two, ...plain },
  { manifest: indexOf([one.manifest, two.manifest]), blobs: [], children: [0, 1], subject: null },
  { ...signature, children: [], subject: 0 },
  {
    manifest: indexOf([two.manifest], { annotations: { other: 'yes' } }),
    blobs: [],
    children: [1],
    subject: null,
  },
];

export const BLOBS: readonly Content[] = [
  ...new Map(PIECES.flatMap(({ blobs }) => blobs).map((blob) => [blob.digest, blob])).values(),
];

/** What one repository must hold, as far as its clients can know. Times are of the steady clock. */
export class RepositoryModel {
  readonly tags = new Map<string, number>();
  /** Manifests that were pushed and not deleted, and since when nothing may hold them. */
  readonly manifests = new Map<number, number>();
  /** Blobs that were acknowledged: pushed or mounted. */
  readonly stored = new Map<string, number>();
  /** Blobs and manifests that a client found here. */
  readonly seen = new Map<string, number>();
  /** Something was deleted by a client: what only bytes are left of may be incomplete. */
  deleted = false;

  touch(pieces: Iterable<number>, nowMs: number): void {
    for (const piece of pieces) if (this.manifests.has(piece)) this.manifests.set(piece, nowMs);
  }

  forget(piece: number): void {
    this.manifests.delete(piece);
    for (const [tag, named] of this.tags) if (named === piece) this.tags.delete(tag);
  }

  /** Manifests that may not be collected: tagged, listed, referring to one of them, or young. */
  kept(nowMs: number, delayMs: number): Set<number> {
    const kept = new Set<number>();
    const tagged = new Set(this.tags.values());
    for (let size = -1; size !== kept.size;) {
      size = kept.size;
      for (const [piece, sinceMs] of this.manifests) {
        const { subject: of } = PIECES[piece] as Piece;
        const listed = [...kept].some((parent) => PIECES[parent]?.children.includes(piece));
        const held = of === null ? tagged.has(piece) : kept.has(of);
        if (listed || held || nowMs - sinceMs < delayMs) kept.add(piece);
      }
    }
    return kept;
  }

  /** The digests of what manifests need, their own included. */
  needed(pieces: Iterable<number>): Set<string> {
    const needed = new Set<string>();
    for (const piece of pieces) {
      const { manifest, blobs } = PIECES[piece] as Piece;
      needed.add(manifest.digest);
      for (const blob of blobs) needed.add(blob.digest);
    }
    return needed;
  }
}
