import type { IndexWriter } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import type { Storage } from '#storage';
import type { LocalKeeper } from '../keeper.ts';

export interface WalkParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly keeper: LocalKeeper;
  readonly report: (path: string, error: unknown) => void;
  /** Hears of the number of repositories looked at, about every thousand. */
  readonly progress: (repositories: number) => void;
  readonly signal: AbortSignal;
}

const AT_ONCE = 16;
const PAGE = 1000;

/**
 * The look at the whole storage after a start: repositories that changed while nobody watched are read again,
 * those that the index lacks are found, those that are gone are forgotten, and what a crash left staged is removed.
 * Gives the number of repositories.
 */
export async function walkStorage(parts: WalkParts): Promise<number> {
  const { storage, index, keeper } = parts;
  const seen = new Set<RepoName>();
  let batch: RepoName[] = [];
  const look = async (): Promise<void> => {
    await Promise.all(batch.map((repo) => lookAt(repo, parts)));
    batch = [];
    if (seen.size % PAGE < AT_ONCE && seen.size >= PAGE) parts.progress(seen.size);
  };
  for await (const { name: repo, isRepository } of storage.folders(parts.report)) {
    if (parts.signal.aborted) return seen.size;
    if (isRepository) seen.add(repo);
    batch.push(repo);
    if (batch.length >= AT_ONCE) await look();
  }
  await look();
  for (let after = ''; ;) {
    const known = await index.listKnownRepositories({ after, limit: PAGE });
    for (const repo of known) if (!seen.has(repo)) await reported(repo, parts, () => keeper.refresh(repo));
    const last = known.at(-1);
    if (last === undefined || parts.signal.aborted) break;
    after = last;
  }
  return seen.size;
}

async function lookAt(repo: RepoName, parts: WalkParts): Promise<void> {
  const store = parts.storage.repository(repo);
  await reported(repo, parts, async () => {
    const { hasUploads } = await store.removeStaged();
    if (hasUploads) await parts.keeper.noteUploads([repo]);
    if (hasUploads) await parts.keeper.quotas.restoreUploads(repo);
    const [state, stat] = await Promise.all([parts.index.findRepository(repo), store.statIndex()]);
    const doubtful = state !== null && state.doubtfulUntilMs > 0;
    // No repository (yet): perhaps all that a client or a crash left of one.
    if (state === null && stat === null) return parts.keeper.garbage.noteWhole(repo);
    if (state === null || state.fingerprint !== stat?.fingerprint || doubtful)
      await parts.keeper.refresh(repo);
  });
}

/** One repository that cannot be looked at does not end the look at the others. */
async function reported(repo: RepoName, parts: WalkParts, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    parts.report(repo, error);
  }
}
