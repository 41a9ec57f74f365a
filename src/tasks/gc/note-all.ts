import { UPLOADS, WHOLE_REPOSITORY } from '#metadata';
import type { CandidateRow } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { garbageReason, isBlobInUse } from '#registry';
import type { GarbagePlace } from '#registry';
import type { TaskContext } from '../scheduler.ts';
import type { SweepParts } from './sweep-parts.ts';

const AT_ONCE = 200;

/**
 * Notes every blob of a repository that nothing needs as a candidate, with the age that its file has. Where there is
 * no index.json, which somebody may be about to put there, they have no age yet.
 */
export async function noteAll(
  repo: RepoName,
  parts: Pick<SweepParts, 'storage' | 'index' | 'clock' | 'keeper'>,
  context: TaskContext,
): Promise<boolean> {
  const { storage, index, clock, keeper } = parts;
  const store = storage.repository(repo);
  // The layout may have changed since the index was read from it.
  await keeper.refresh(repo);
  const isRepository = (await index.findRepository(repo)) !== null;
  let found: CandidateRow[] = [];
  for await (const digest of store.listBlobs()) {
    if (context.signal.aborted) return false;
    if (await isNeeded({ index, holds: keeper.tags, repo }, digest)) continue;
    const stat = await store.statBlob(digest);
    const nowMs = clock.nowMs();
    const sinceMs = isRepository && stat !== null ? Math.min(stat.modifiedMs, nowMs) : nowMs;
    if (stat !== null) found.push({ repo, what: digest, sinceMs });
    if (found.length >= AT_ONCE) {
      await index.addCandidates(found);
      found = [];
    }
    await context.pause();
  }
  await index.addCandidates([...found, { repo, what: UPLOADS, sinceMs: 0 }]);
  return noteDead(repo, parts, context);
}

/** Notes what index.json names and nobody can read, since its file is gone: from now on it has an age. */
async function noteDead(
  repo: RepoName,
  { index, clock }: Pick<SweepParts, 'index' | 'clock'>,
  context: TaskContext,
): Promise<boolean> {
  for (let afterPosition = -1; ;) {
    const entries = await index.listEntries(repo, { afterPosition, limit: AT_ONCE });
    const dead: CandidateRow[] = [];
    for (const { digest } of entries) {
      if ((await index.findManifest(repo, { kind: 'digest', digest })) !== null) continue;
      if ((await index.findCandidate(repo, digest)) !== null) continue;
      dead.push({ repo, what: digest, sinceMs: clock.nowMs() });
    }
    await index.addCandidates(dead);
    await context.pause();
    const last = entries.at(-1);
    if (last === undefined) return true;
    if (context.signal.aborted) return false;
    afterPosition = last.position;
  }
}

/** Blobs in use, and manifests with a tag or a parent: nothing to look at. */
async function isNeeded(place: GarbagePlace, digest: Digest): Promise<boolean> {
  const { index, repo } = place;
  const manifest = await index.findManifest(repo, { kind: 'digest', digest });
  if (manifest === null) return isBlobInUse(index, repo, digest);
  const rules = { deleteUntagged: true, deleteReferrers: true };
  return (await garbageReason(place, digest, rules)) === null;
}

/** Makes the next sweep look at everything that is on the store, not only at what was noted. */
export async function noteEverything(
  parts: Pick<SweepParts, 'storage' | 'index' | 'store'>,
  signal: AbortSignal,
): Promise<void> {
  let repos: RepoName[] = [];
  const note = async (): Promise<void> => {
    await parts.index.addCandidates(repos.map((repo) => ({ repo, what: WHOLE_REPOSITORY, sinceMs: 0 })));
    repos = [];
  };
  for await (const { name } of parts.storage.folders(() => undefined)) {
    if (signal.aborted) return;
    if (parts.storage.storeOf(name) !== parts.store) continue;
    repos.push(name);
    if (repos.length >= AT_ONCE) await note();
  }
  await note();
}
