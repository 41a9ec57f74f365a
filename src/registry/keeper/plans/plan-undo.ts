/**
 * What an operation means for tags, worked out from its plan: whether an immutable tag forbids it, what the history
 * tells of it, and what must be held so that it can be undone.
 */
import type { Hold, IndexWriter, ManifestRow, NewTagEvent, TagEventKind } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { RepositoryStore } from '#storage';
import type { Operation, Plan } from './operation.ts';
import type { TagHistory } from '../tags/tag-history.ts';
import type { TagRules } from '../tags/tag-rules.ts';

/** Names of users are kept up to this length; those of some token services have none. */
const NAME_CHARS_MAX = 256;

export interface UndoContext {
  readonly index: IndexWriter;
  readonly store: RepositoryStore;
  readonly history: TagHistory;
  readonly nowMs: number;
}

/** What becomes of a tag; at least one of the two is there. */
interface TagChange {
  readonly tag: Tag;
  /** What it names before. */
  readonly before: ManifestRow | null;
  /** What it names afterwards. */
  readonly after: Digest | null;
}

/**
 * Adds to a plan what its history needs. Throws `DENIED` (409) where it changes an immutable tag that its operation
 * may not change.
 */
export async function withHistory(operation: Operation, plan: Plan, context: UndoContext): Promise<Plan> {
  const { history, store } = context;
  const { rules } = history;
  const keeps = history.keeps(store.name);
  const changes = keeps || rules.guards(store.name) ? await tagChanges(plan, context) : [];
  for (const change of changes) requireMutable(operation, change, store.name, rules);
  const holds = keeps ? await holdsOf(operation, plan, changes, context) : [];
  const events = keeps ? changes.map((change) => eventOf(operation, change, store.name)) : [];
  if (!(await history.mayHold(store.name))) return plan;
  return { ...plan, events, holds, ...(await keptFiles(operation, plan, holds, context)) };
}

/** Tags that name something else afterwards. */
async function tagChanges(plan: Plan, { index, store }: UndoContext): Promise<TagChange[]> {
  const tags = new Set<Tag>();
  for (const { tag } of [...plan.removedEntries, ...plan.addedEntries]) if (tag !== null) tags.add(tag);
  const changes: TagChange[] = [];
  for (const tag of tags) {
    const after = plan.addedEntries.find((entry) => entry.tag === tag)?.digest ?? null;
    const row = await index.findManifest(store.name, { kind: 'tag', tag });
    const removed = plan.removedEntries.find((entry) => entry.tag === tag);
    // One whose content is gone is known by its descriptor alone.
    const before = row ?? (removed === undefined ? null : rowOfEntry(removed));
    if (before?.digest !== after) changes.push({ tag, before, after });
  }
  return changes;
}

function rowOfEntry({ digest, json }: { readonly digest: Digest; readonly json: string }): ManifestRow {
  const { mediaType, size } = JSON.parse(json) as { mediaType?: unknown; size?: unknown };
  return { digest, mediaType: String(mediaType), sizeBytes: Number(size) };
}

function requireMutable(
  operation: Operation,
  { tag, before, after }: TagChange,
  repo: RepoName,
  rules: TagRules,
): void {
  if (before === null || mayChangeAll(operation)) return;
  const immutability = rules.immutability(repo, tag);
  if (immutability === null || (after === null && immutability.deletable)) return;
  const change = after === null ? 'deleted' : 'moved';
  throw new RegistryError('DENIED', {
    status: 409,
    message: `the tag ${tag} is immutable and names ${before.digest}: it cannot be ${change}`,
    detail: { reference: tag, digest: before.digest, reason: 'immutable' },
  });
}

/** Retention, collection and a purge by the operator: what they remove was decided by whoever makes the rules. */
function mayChangeAll(operation: Operation): boolean {
  if (operation.kind === 'deleteManifest') return operation.purges;
  return operation.kind !== 'push' && operation.kind !== 'deleteTag';
}

function eventOf(operation: Operation, { tag, before, after }: TagChange, repo: RepoName): NewTagEvent {
  const about = after === null || operation.kind !== 'push' ? before : pushedRow(operation);
  if (about === null) throw new Error(`nothing is known of what the tag ${tag} names`);
  const { digest, mediaType, sizeBytes } = about;
  const kind = kindOf(operation, before, after);
  return {
    repo,
    tag,
    kind,
    digest,
    previous: before?.digest ?? null,
    mediaType,
    sizeBytes,
    by: doer(operation).slice(0, NAME_CHARS_MAX),
  };
}

function pushedRow({ push }: Extract<Operation, { kind: 'push' }>): ManifestRow {
  return { digest: push.digest, mediaType: push.mediaType, sizeBytes: push.bytes.length };
}

function kindOf(operation: Operation, before: ManifestRow | null, after: Digest | null): TagEventKind {
  if (operation.kind === 'push' && operation.restores) return 'restored';
  if (after !== null) return before === null ? 'created' : 'moved';
  if (operation.kind === 'deleteTag' || operation.kind === 'retire') return 'deleted';
  return operation.kind === 'deleteManifest' && operation.purges ? 'purged' : 'manifestDeleted';
}

function doer(operation: Operation): string {
  switch (operation.kind) {
    case 'push':
      return operation.push.by ?? '';
    case 'deleteTag':
    case 'deleteManifest':
    case 'clear':
      return operation.by;
    case 'retire':
      return 'retention';
    default:
      return 'gc';
  }
}

/** What lost a tag is held itself, and keeps what it refers to; what is deleted is held with all below it. */
async function holdsOf(
  operation: Operation,
  plan: Plan,
  changes: readonly TagChange[],
  context: UndoContext,
): Promise<Hold[]> {
  const lost = changes.flatMap(({ before }) => (before === null ? [] : [before]));
  const isDeleted = operation.kind === 'deleteManifest' || operation.kind === 'collectManifest';
  // An untagged manifest that is collected was held before, if it ever had a tag.
  if (
    isDeleted &&
    (operation.kind === 'deleteManifest' || lost.length > 0) &&
    plan.removedManifests.length > 0
  )
    return descendantHolds(operation.digest, context);
  if (operation.kind === 'clear') return clearedHolds(plan, context);
  const { store, nowMs: sinceMs } = context;
  return lost.map(({ digest, mediaType, sizeBytes }) => ({
    repo: store.name,
    digest,
    root: digest,
    sinceMs,
    sizeBytes,
    mediaType,
  }));
}

/** All that a repository held by what had a descriptor. */
async function clearedHolds(plan: Plan, context: UndoContext): Promise<Hold[]> {
  const holds: Hold[] = [];
  for (const root of new Set(plan.removedEntries.map(({ digest }) => digest)))
    holds.push(...(await descendantHolds(root, context)));
  return holds;
}

/** A manifest and everything below it, as far as it is there. */
export async function descendantHolds(
  root: Digest,
  { index, store, nowMs }: Omit<UndoContext, 'history'>,
): Promise<Hold[]> {
  const repo = store.name;
  const holds = new Map<Digest, Hold>();
  const hold = (digest: Digest, sizeBytes: number, mediaType: string | null): void => {
    holds.set(digest, { repo, digest, root, sinceMs: nowMs, sizeBytes, mediaType });
  };
  const pending = [root];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    const manifest = await index.findManifest(repo, { kind: 'digest', digest: parent });
    if (manifest !== null) hold(parent, manifest.sizeBytes, manifest.mediaType);
    for (const { digest, role } of await index.listReferences(repo, parent)) {
      if (holds.has(digest)) continue;
      const isManifest =
        role === 'child' && (await index.findManifest(repo, { kind: 'digest', digest })) !== null;
      const sizeBytes =
        (await index.findBlob(repo, digest))?.sizeBytes ?? (await store.statBlob(digest))?.sizeBytes;
      if (isManifest) pending.push(digest);
      else if (sizeBytes !== undefined) hold(digest, sizeBytes, null);
    }
  }
  return [...holds.values()];
}

/** Files of what is held stay, and count as absent until their time is over. */
async function keptFiles(
  operation: Operation,
  plan: Plan,
  holds: readonly Hold[],
  { history, store }: UndoContext,
): Promise<Pick<Plan, 'removedFiles' | 'buried'>> {
  const fresh = new Set(holds.map(({ digest }) => digest));
  const isHeld = async (digest: Digest): Promise<boolean> => {
    if (operation.kind === 'purgeBlob') return history.isHeldByOthers(store.name, digest, operation.root);
    return fresh.has(digest) || history.isHeld(store.name, digest);
  };
  const removedFiles: Digest[] = [];
  const buried: Plan['buried'][number][] = [];
  for (const digest of plan.removedFiles) {
    const stat = (await isHeld(digest)) ? await store.statBlob(digest) : null;
    if (stat === null) removedFiles.push(digest);
    else buried.push({ digest, modifiedMs: stat.modifiedMs, held: true });
  }
  for (const blob of plan.buried)
    buried.push(
      operation.kind !== 'releaseHold' && (await isHeld(blob.digest)) ? { ...blob, held: true } : blob,
    );
  return { removedFiles, buried };
}
