import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { ManifestPush } from '../keeper-contract.ts';
import type { HeldOperation, Operation, OperationKeys, Plan } from './operation.ts';
import { planClear } from './plan-clear.ts';
import {
  planBuryBlob,
  planCollectBlob,
  planCollectManifest,
  planPruneDead,
  planRemoveEmpty,
} from './plan-collect.ts';
import { planDeleteBlob, planDeleteManifest, planDeleteTag } from './plan-delete.ts';
import { planHideHeld, planPurgeBlob, planPurgeChild, planReleaseHold } from './plan-purge.ts';
import { planPush } from './plan-push.ts';
import { planRetire } from './plan-retire.ts';
import { planRefresh } from './plan-refresh.ts';
import { withHistory } from './plan-undo.ts';
import type { UndoContext } from './plan-undo.ts';

/** What an operation is planned against. */
export type PlanContext = UndoContext;

/** What keeps a repository in order, asked for by background work. */
type Upkeep = Exclude<
  Operation,
  { kind: 'push' | 'deleteTag' | 'deleteManifest' | 'deleteBlob' | 'refresh' }
>;

/** Works out what an operation does, against the index as it stands; throws what refuses it. */
export async function planOperation(operation: Operation, context: PlanContext): Promise<Plan> {
  return withHistory(operation, await planBare(operation, context), context);
}

async function planBare(operation: Operation, context: PlanContext): Promise<Plan> {
  const { index, store, nowMs } = context;
  switch (operation.kind) {
    case 'push':
      return planPush(operation.push, index, store, nowMs);
    case 'deleteTag':
      return planDeleteTag(store.name, operation.tag, index, nowMs);
    case 'deleteManifest':
      return planDeleteManifest(store.name, operation, index, nowMs);
    case 'deleteBlob':
      return planDeleteBlob(store.name, operation.digest, index, store);
    case 'refresh':
      return planRefresh(operation, index, store);
    default:
      return planUpkeep(operation, context);
  }
}

/** What background work and the operator ask for. */
async function planUpkeep(operation: Upkeep, context: PlanContext): Promise<Plan> {
  const { index, store, history, nowMs } = context;
  switch (operation.kind) {
    case 'collectManifest':
      return planCollectManifest(operation, { index, holds: history, repo: store.name });
    case 'retire':
      return planRetire(store.name, operation, index, nowMs);
    case 'pruneDead':
      return planPruneDead(operation.digest, index, store);
    case 'buryBlob':
      return planBuryBlob(operation, index, store);
    case 'collectBlob':
      return planCollectBlob(operation.digest, index, store);
    case 'removeEmpty':
      return planRemoveEmpty(operation.isOld, index, store);
    case 'clear':
      return planClear(store.name, index);
    default:
      return planHeld(operation, context);
  }
}

/** Operations on what is held, or was. */
async function planHeld(operation: HeldOperation, { index, store, history }: PlanContext): Promise<Plan> {
  switch (operation.kind) {
    case 'purgeChild':
      return planPurgeChild(operation, index, store, history);
    case 'purgeBlob':
      return planPurgeBlob(operation, index, store);
    case 'hideHeld':
      return planHideHeld(operation.digest, index, store);
    case 'releaseHold':
      return planReleaseHold(operation, index, store, history);
  }
}

/**
 * Stands for all that the adopted children of an index refer to (see `adoptChild`), which nobody knows before they
 * are read: indexes read it, and what takes blobs away writes it. Collections of garbage share it: what one takes away
 * nothing needs, so no other depends on it.
 */
const ADOPTED = 'adopted';

/** Stands for the repository itself: whatever changes it reads it, and what removes it writes it. */
const LAYOUT = 'layout';

/** What an operation reads and changes: tags as `tag <name>`, digests as they are. */
export async function keysOf(
  operation: Operation,
  repo: RepoName,
  index: IndexWriter,
): Promise<OperationKeys> {
  switch (operation.kind) {
    case 'push':
      return pushKeys(operation.push, index);
    case 'deleteTag': {
      const held = await index.findEntries(repo, { kind: 'tag', tag: operation.tag });
      return { reads: [LAYOUT], writes: [`tag ${operation.tag}`, ...held.map((entry) => entry.digest)] };
    }
    case 'deleteManifest':
      return keysOfManifest(operation.digest, repo, index);
    case 'deleteBlob':
      return { reads: [], writes: [operation.digest, ADOPTED] };
    case 'refresh':
      return refreshKeys(operation);
    default:
      return keysOfUpkeep(operation, repo, index);
  }
}

async function keysOfUpkeep(operation: Upkeep, repo: RepoName, index: IndexWriter): Promise<OperationKeys> {
  switch (operation.kind) {
    case 'retire': {
      const named = operation.tags.flatMap(({ tag, digest }) => [`tag ${tag}`, digest]);
      return { reads: [LAYOUT], writes: [...new Set(named)] };
    }
    case 'pruneDead':
    case 'collectManifest':
      return { ...(await manifestKeys(operation.digest, repo, index)), shares: [ADOPTED] };
    case 'buryBlob':
    case 'collectBlob':
      return { reads: [], writes: [operation.digest], shares: [ADOPTED] };
    case 'purgeChild':
      return keysOfManifest(operation.digest, repo, index);
    case 'removeEmpty':
    case 'clear':
      return { reads: [], writes: [LAYOUT] };
    default:
      return { reads: [], writes: [operation.digest, ADOPTED] };
  }
}

async function keysOfManifest(digest: Digest, repo: RepoName, index: IndexWriter): Promise<OperationKeys> {
  const { reads, writes } = await manifestKeys(digest, repo, index);
  return { reads, writes: [...writes, ADOPTED] };
}

/** What goes with a manifest that is removed, and its subject, which decides whether it may be. */
async function manifestKeys(digest: Digest, repo: RepoName, index: IndexWriter): Promise<OperationKeys> {
  const subject = await index.findSubject(repo, digest);
  const held = await index.findEntries(repo, { kind: 'digest', digest });
  const tags = held.flatMap((entry) => (entry.tag === null ? [] : [`tag ${entry.tag}`]));
  const family = await withDescendants(repo, digest, index);
  return {
    reads: subject === null ? [LAYOUT] : [subject, LAYOUT],
    writes: [...family, ...tags],
  };
}

function refreshKeys({ unread }: Extract<Operation, { kind: 'refresh' }>): OperationKeys {
  return unread === undefined ? { reads: [], writes: [] } : { reads: [LAYOUT], writes: [unread, ADOPTED] };
}

async function pushKeys(push: ManifestPush, index: IndexWriter): Promise<OperationKeys> {
  const { repo, digest, tags, projection } = push;
  const held = await Promise.all(tags.map((tag) => index.findEntries(repo, { kind: 'tag', tag })));
  const adopts = projection.references.some(({ role }) => role === 'child') ? [ADOPTED] : [];
  return {
    reads: [...projection.references.map((reference) => reference.digest), ...adopts, LAYOUT],
    writes: [digest, ...tags.map((tag) => `tag ${tag}`), ...held.flat().map((entry) => entry.digest)],
  };
}

/** A manifest and all that stand below it, of which some may go with it. */
async function withDescendants(repo: RepoName, digest: Digest, index: IndexWriter): Promise<Digest[]> {
  const found = new Set([digest]);
  for (const parent of found) {
    for (const { digest: child, role } of await index.listReferences(repo, parent)) {
      if (role === 'child') found.add(child);
    }
  }
  return [...found];
}
