import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { Storage } from '#storage';
import type { Changes } from './changes.ts';

export interface CensusParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly changes: Changes;
}

const PAGE = 500;

/**
 * Makes the index know every blob that stands in a repository, manifests included, and no other. Not to be called from
 * the queue of the repository: deletes hold a blob's lock while they wait for the queue.
 */
export async function compareBlobs(repo: RepoName, parts: CensusParts, signal: AbortSignal): Promise<void> {
  const { storage, index, changes } = parts;
  const store = storage.repository(repo);
  for await (const digest of store.listBlobs()) {
    if (signal.aborted) return;
    if ((await index.findBlob(repo, digest)) !== null) continue;
    await changes.onBlob(repo, digest, async () => {
      const stat = await store.statBlob(digest);
      const isKnown = (await index.findBlob(repo, digest)) !== null;
      if (stat !== null && !isKnown) await index.addBlobs(repo, [{ digest, sizeBytes: stat.sizeBytes }]);
    });
  }
  await forgetMissing(repo, parts, signal);
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

/** Looks at repositories under a prefix that the index knows blobs of, whether or not their folders are there. */
export async function forgetMissingUnder(
  prefix: RepoPrefix,
  parts: CensusParts,
  signal: AbortSignal,
): Promise<void> {
  for (let repo: RepoName | '' | null = ''; ;) {
    repo = await parts.index.nextBlobRepository(prefix, repo);
    if (repo === null || signal.aborted) return;
    await forgetMissing(repo, parts, signal);
  }
}
