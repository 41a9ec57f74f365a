import { TAG_EVENTS_MAX } from '#metadata';
import type { TagEvent } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { RepositoryStore } from '#storage';
import { damagedManifest } from '../../damaged-content.ts';
import type { TagDeskParts } from './tag-desk-parts.ts';
import { isRemoval } from './tag-history.ts';

export interface RestoreOrder {
  readonly repo: RepoName;
  readonly tag: Tag;
  /** What the tag is to name: this manifest, or what it named at a time; neither: as before its last change. */
  readonly digest: Digest | null;
  readonly atMs: number | null;
  readonly by: string;
}

export interface Restored {
  readonly digest: Digest;
  /** What it named until now. */
  readonly previous: Digest | null;
  /** False where the tag named that already. */
  readonly changed: boolean;
}

/** As the largest manifest of other tools that is served. */
const MANIFEST_SIZE_BYTES_MAX = 64 * 1024 * 1024;
const ANY_TIME = { beforeMs: Infinity, sinceMs: -1, digest: null };

/**
 * Lets a tag name again what it named. Throws `MANIFEST_UNKNOWN` where nothing is known of that or its content is gone
 * or damaged, `MANIFEST_BLOB_UNKNOWN` where some of it is gone or known to be damaged, `DENIED` (409) where the tag is
 * immutable.
 */
export async function restoreTag(order: RestoreOrder, parts: TagDeskParts): Promise<Restored> {
  const { repo, tag, by } = order;
  const { changes, storage, index } = parts;
  await changes.change(repo, { kind: 'refresh' });
  const digest = order.digest ?? (await digestBefore(order, parts));
  const previous = (await index.findManifest(repo, { kind: 'tag', tag }))?.digest ?? null;
  if (previous === digest) return { digest, previous, changed: false };
  const bytes = await readWhole(storage.repository(repo), digest);
  if (bytes === null)
    throw unknown(`the content of ${digest} is gone: it cannot be restored any more`, digest);
  const mediaType = await mediaTypeOf(order, digest, parts);
  if (mediaType === null) throw unknown(`${digest} is no manifest of ${repo}`, digest);
  const projection = projectManifest(bytes, mediaType);
  const push = { repo, digest, mediaType, bytes, tags: [tag], projection, by };
  // Its file must not be removed while it is named again.
  await changes.onBlob(repo, digest, () => changes.change(repo, { kind: 'push', push, restores: true }));
  return { digest, previous, changed: true };
}

async function readWhole(store: RepositoryStore, digest: Digest): Promise<Buffer | null> {
  try {
    return await store.readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.fault === 'corrupt')) throw cause;
    throw damagedManifest({ kind: 'digest', digest }, digest, cause);
  }
}

async function digestBefore(order: RestoreOrder, { history }: TagDeskParts): Promise<Digest> {
  const { repo, tag, atMs } = order;
  if (atMs !== null) return digestAt(order, atMs, history);
  const [last] = await history.listEvents(repo, tag, { ...ANY_TIME, limit: 1 });
  if (last === undefined) throw unknown(`nothing is known of the tag ${tag} of ${repo}`, tag);
  if (isRemoval(last)) return last.digest;
  if (last.previous !== null) return last.previous;
  // It was gone before it was made again: then it named what it named last.
  const [, before] = await history.listEvents(repo, tag, { ...ANY_TIME, limit: 2 });
  if (before !== undefined) return before.digest;
  throw unknown(`the tag ${tag} named nothing before ${last.digest}`, tag);
}

async function digestAt(
  { repo, tag }: RestoreOrder,
  atMs: number,
  history: TagDeskParts['history'],
): Promise<Digest> {
  const [then] = await history.listEvents(repo, tag, { ...ANY_TIME, beforeMs: atMs + 1, limit: 1 });
  const time = new Date(atMs).toISOString();
  if (then !== undefined && !isRemoval(then)) return then.digest;
  if (then !== undefined) throw unknown(`the tag ${tag} did not exist at ${time}`, tag);
  const first = await firstEvent(repo, tag, history);
  if (first?.previous !== undefined && first.previous !== null) return first.previous;
  throw unknown(`nothing is known of the tag ${tag} of ${repo} at ${time}`, tag);
}

async function firstEvent(
  repo: RepoName,
  tag: Tag,
  history: TagDeskParts['history'],
): Promise<TagEvent | undefined> {
  const all = await history.listEvents(repo, tag, { ...ANY_TIME, limit: TAG_EVENTS_MAX });
  return all.at(-1);
}

async function mediaTypeOf(
  { repo, tag }: RestoreOrder,
  digest: Digest,
  { index, history }: TagDeskParts,
): Promise<string | null> {
  const row = await index.findManifest(repo, { kind: 'digest', digest });
  const known = row?.mediaType ?? (await history.findHold(repo, digest))?.mediaType ?? null;
  if (known !== null) return known;
  const [event] = await history.listEvents(repo, tag, { ...ANY_TIME, digest, limit: 1 });
  return event?.mediaType ?? null;
}

function unknown(message: string, reference: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', { message, detail: { reference } });
}
