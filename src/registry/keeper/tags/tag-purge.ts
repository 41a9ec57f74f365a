/**
 * Removes a manifest for good, with its tags and all bytes that nothing else in its repository needs: for what must
 * not be stored, such as a secret that was pushed. No undo, no grace.
 *
 * Order: the manifest goes as in a delete, and is held -> manifests below it -> bytes, each under its lock -> the hold
 * ends. A process that dies in between leaves the hold, by which the purge can be done again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Hold } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { descendantHolds } from '../plans/plan-undo.ts';
import type { TagDeskParts } from './tag-desk-parts.ts';
import { isRemoval } from './tag-history.ts';

export interface PurgeOrder {
  readonly repo: RepoName;
  /** A tag stands for the manifest that it names or, where it is gone, named last. */
  readonly reference: Reference;
  readonly by: string;
}

export interface PurgeReport {
  readonly digest: Digest;
  /** Tags that are gone by it. */
  readonly tags: readonly Tag[];
  readonly blobs: number;
  readonly freedBytes: number;
  /** What stays in the repository, with the manifest that needs it. */
  readonly kept: readonly { readonly digest: Digest; readonly neededBy: Digest }[];
  /** Other repositories that hold some of it, the first of them. */
  readonly elsewhere: readonly RepoName[];
}

const PAGE = 500;
/** Indexes in indexes that are followed. */
const LEVELS_MAX = 8;
/** Places elsewhere that are named. */
const ELSEWHERE_MAX = 100;
const LATEST = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 1 };

/**
 * Throws `MANIFEST_UNKNOWN` where there is nothing to purge, `DENIED` (405) while an index lists the manifest.
 */
export async function purgeManifest(order: PurgeOrder, parts: TagDeskParts): Promise<PurgeReport> {
  const { repo, by } = order;
  const { changes, index } = parts;
  await changes.change(repo, { kind: 'refresh' });
  const root = await digestToPurge(order, parts);
  const below = await everythingBelow(repo, root, parts);
  const entries = await index.findEntries(repo, { kind: 'digest', digest: root });
  const isStored = (await index.findManifest(repo, { kind: 'digest', digest: root })) !== null;
  if (isStored || entries.length > 0) {
    const removal = { kind: 'deleteManifest', digest: root, tagsMax: Infinity, by, purges: true } as const;
    await changes.onBlob(repo, root, () => changes.change(repo, removal));
  } else if (below.length === 0) throw unknown(`nothing of ${root} is stored in ${repo}`, root);
  else await notePurge(order, root, parts);
  await removeChildren(repo, root, below, parts);
  const removed = await removeBytes(repo, root, below, parts);
  const elsewhere = await othersWith(repo, below, parts);
  await parts.history.removeHolds(await holdsOf(repo, root, parts));
  const tags = entries.flatMap(({ tag }) => (tag === null ? [] : [tag]));
  return { digest: root, tags, ...removed, elsewhere };
}

async function digestToPurge({ repo, reference }: PurgeOrder, parts: TagDeskParts): Promise<Digest> {
  if (reference.kind === 'digest') return reference.digest;
  const row = await parts.index.findManifest(repo, reference);
  if (row !== null) return row.digest;
  const [last] = await parts.history.listEvents(repo, reference.tag, LATEST);
  if (last !== undefined && isRemoval(last)) return last.digest;
  throw unknown(`${repo} has no tag ${reference.tag}`, reference.tag);
}

/** All that hangs on the manifest: by what the index knows, and by what is held for it. */
async function everythingBelow(repo: RepoName, root: Digest, parts: TagDeskParts): Promise<Hold[]> {
  const store = parts.storage.repository(repo);
  const stored = await descendantHolds(root, { index: parts.index, store, nowMs: 0 });
  const all = new Map((await holdsOf(repo, root, parts)).map((hold) => [hold.digest, hold]));
  for (const hold of stored) all.set(hold.digest, hold);
  return [...all.values()];
}

async function holdsOf(repo: RepoName, root: Digest, { history }: TagDeskParts): Promise<Hold[]> {
  const holds: Hold[] = [];
  for (let after = ''; ;) {
    const page = await history.listHoldsOf(repo, root, { after, limit: PAGE });
    holds.push(...page);
    const last = page.at(-1);
    if (last === undefined) return holds;
    after = last.digest;
  }
}

/** A tag that was gone already is noted as purged: it cannot be restored to this any more. */
async function notePurge(order: PurgeOrder, digest: Digest, parts: TagDeskParts): Promise<void> {
  const { repo, reference, by } = order;
  if (reference.kind !== 'tag' || !parts.tagHistory.keeps(repo)) return;
  const [last] = await parts.history.listEvents(repo, reference.tag, LATEST);
  if (last === undefined || last.digest !== digest || !isRemoval(last)) return;
  const { history, nowMs } = parts;
  const events = [{ ...last, kind: 'purged', previous: null, by }] as const;
  const batch = { events, holds: [], nowMs: nowMs(), durable: true, confirmed: [] };
  await history.confirm(await history.append(batch));
}

/** Manifests below it go level by level: one goes only when no index lists it any more. */
async function removeChildren(
  repo: RepoName,
  root: Digest,
  below: readonly Hold[],
  { changes, index }: TagDeskParts,
): Promise<void> {
  let left = below.filter(({ digest, mediaType }) => mediaType !== null && digest !== root);
  for (let level = 0; level < LEVELS_MAX && left.length > 0; level += 1) {
    const stay: Hold[] = [];
    for (const hold of left) {
      const { digest } = hold;
      await changes.onBlob(repo, digest, () => changes.change(repo, { kind: 'purgeChild', digest, root }));
      if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) stay.push(hold);
    }
    if (stay.length === left.length) return;
    left = stay;
  }
}

async function removeBytes(
  repo: RepoName,
  root: Digest,
  below: readonly Hold[],
  parts: TagDeskParts,
): Promise<Pick<PurgeReport, 'blobs' | 'freedBytes' | 'kept'>> {
  const store = parts.storage.repository(repo);
  const kept: { digest: Digest; neededBy: Digest }[] = [];
  let blobs = 0;
  let freedBytes = 0;
  for (const { digest } of below) {
    await parts.changes.onBlob(repo, digest, async () => {
      const sizeBytes = (await store.statBlob(digest))?.sizeBytes ?? 0;
      await parts.changes.change(repo, { kind: 'purgeBlob', digest, root });
      if ((await store.statBlob(digest)) === null) {
        await parts.index.removeTombstones(repo, [digest]);
        blobs += 1;
        freedBytes += sizeBytes;
      } else kept.push({ digest, neededBy: await neederOf(repo, digest, root, parts) });
    });
  }
  return { blobs, freedBytes, kept };
}

/** A manifest that needs a blob: one of the repository, or one that is held. */
async function neederOf(repo: RepoName, digest: Digest, root: Digest, parts: TagDeskParts): Promise<Digest> {
  const { index, history } = parts;
  const roles = ['config', 'layer', 'child'] as const;
  const [user] = await index.listReferencing(repo, digest, { roles, limit: 1 });
  if (user !== undefined) return user;
  return (await history.findOtherRoot(repo, digest, root)) ?? digest;
}

/** Other repositories in which some of it is stored too. */
async function othersWith(repo: RepoName, below: readonly Hold[], parts: TagDeskParts): Promise<RepoName[]> {
  const { index } = parts;
  const found = new Set<RepoName>();
  for (const { digest } of below) {
    for (const holder of await index.listBlobHolders(digest, { after: '', limit: ELSEWHERE_MAX }))
      found.add(holder);
  }
  const manifests = below.filter(({ mediaType }) => mediaType !== null);
  for (let after = ''; found.size < ELSEWHERE_MAX;) {
    const page = await index.listKnownRepositories({ after, limit: PAGE });
    for (const other of page) {
      if (await hasSome(other, manifests, parts)) found.add(other);
    }
    const last = page.at(-1);
    if (last === undefined) break;
    after = last;
    await nextTurn();
  }
  found.delete(repo);
  return [...found].toSorted().slice(0, ELSEWHERE_MAX);
}

async function hasSome(
  repo: RepoName,
  manifests: readonly Hold[],
  { index, history }: TagDeskParts,
): Promise<boolean> {
  for (const { digest } of manifests) {
    if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) return true;
    if (await history.isHeld(repo, digest)) return true;
  }
  return false;
}

function unknown(message: string, reference: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', { message, detail: { reference } });
}
