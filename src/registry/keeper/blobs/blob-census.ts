import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { Storage } from '#storage';
import type { Changes } from '../changes.ts';

export interface CensusParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly changes: Changes;
}

const PAGE = 500;
const AT_ONCE = 32;

/**
 * Makes the index know every blob that stands in a repository, manifests included, and no other. A repository of which
 * the index knows all costs a look at its folder, not at its files. Not to be called from the queue of the repository:
 * deletes hold a blob's lock while they wait for the queue.
 */
export async function compareBlobs(repo: RepoName, parts: CensusParts, signal: AbortSignal): Promise<void> {
  const { storage, index } = parts;
  let known = 0;
  let unknown: Digest[] = [];
  for await (const digest of storage.repository(repo).listBlobs()) {
    if (signal.aborted) return;
    if ((await index.findBlob(repo, digest)) !== null) known += 1;
    else unknown.push(digest);
    if (unknown.length < AT_ONCE) continue;
    await Promise.all(unknown.map((one) => addUnknown(repo, one, parts)));
    known += unknown.length;
    unknown = [];
  }
  await Promise.all(unknown.map((one) => addUnknown(repo, one, parts)));
  known += unknown.length;
  if ((await countRows(repo, index)) !== known) await forgetMissing(repo, parts, signal);
}

async function addUnknown(repo: RepoName, digest: Digest, parts: CensusParts): Promise<void> {
  const { storage, index, changes } = parts;
  await changes.onBlob(repo, digest, async () => {
    const stat = await storage.repository(repo).statBlob(digest);
    const isKnown = (await index.findBlob(repo, digest)) !== null;
    if (stat !== null && !isKnown) await index.addBlobs(repo, [{ digest, sizeBytes: stat.sizeBytes }]);
  });
}

async function countRows(repo: RepoName, index: IndexWriter): Promise<number> {
  let count = 0;
  for (let after: Digest | '' = ''; ;) {
    const blobs = await index.listBlobs(repo, { after, limit: PAGE });
    count += blobs.length;
    const last = blobs.at(-1);
    if (last === undefined) return count;
    after = last.digest;
    await nextTurn();
  }
}

/** Takes blobs out of the index whose files are gone. */
async function forgetMissing(repo: RepoName, parts: CensusParts, signal: AbortSignal): Promise<void> {
  const store = parts.storage.repository(repo);
  for (let after: Digest | '' = ''; ;) {
    const blobs = await parts.index.listBlobs(repo, { after, limit: PAGE });
    for (const { digest } of blobs) {
      if (signal.aborted) return;
      if ((await store.statBlob(digest)) !== null) continue;
      await parts.changes.onBlob(repo, digest, async () => {
        if ((await store.statBlob(digest)) === null) await parts.index.removeBlobs(repo, [digest]);
      });
    }
    const last = blobs.at(-1);
    if (last === undefined) return;
    after = last.digest;
  }
}

/** Forgets the blobs of repositories under a prefix that have no files any more: whose folders nobody comes by. */
export async function forgetMissingUnder(
  prefix: RepoPrefix,
  parts: CensusParts,
  signal: AbortSignal,
): Promise<void> {
  for (let repo: RepoName | '' | null = ''; ;) {
    repo = await parts.index.nextBlobRepository(prefix, repo);
    if (repo === null || signal.aborted) return;
    if (await hasNoFiles(repo, parts)) await forgetMissing(repo, parts, signal);
  }
}

async function hasNoFiles(repo: RepoName, { storage }: CensusParts): Promise<boolean> {
  for await (const _digest of storage.repository(repo).listBlobs()) return false;
  return true;
}
