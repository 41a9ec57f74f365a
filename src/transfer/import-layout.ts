import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { IndexEntry, RepositoryStore } from '#storage';
import { openArchiveFile, openArchiveStream } from './archive-input.ts';
import { findArchiveIndex, takeArchive } from './archive-intake.ts';
import { BlobIntake } from './blob-intake.ts';
import type { ImportParts } from './blob-intake.ts';
import type { ByteStream } from './byte-stream.ts';
import { entriesOf, isLayout, layoutAt, repositoriesBelow } from './layout-folder.ts';
import { entriesFor, repositoryOf, rootsOf } from './layout-index.ts';
import { ManifestIntake } from './manifest-intake.ts';
import type { ContentSource } from './manifest-intake.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { isOfContent, takeRoots } from './take-roots.ts';
import { withReferrers } from './referrers-of.ts';

export interface ImportOrder {
  /** A layout, a folder of layouts, an archive, or a stream of one. */
  readonly source: string | Readable;
  /** Where to put it; `null`: where the source says that it belongs. */
  readonly repo: RepoName | null;
  /** Only what has these tags; empty: all. */
  readonly tags: readonly Tag[];
}

/** Imports OCI image layouts and archives of them. Throws `TransferRefusal` for what cannot be used at all. */
export async function importLayouts(parts: ImportParts, order: ImportOrder): Promise<void> {
  const { source } = order;
  if (typeof source !== 'string') return importStream(parts, await openArchiveStream(source), order);
  // What cannot be looked at is not there for us.
  const found = await stat(source).catch(() => null);
  if (found === null) throw new TransferRefusal(`there is no ${source}`);
  if (found.isFile()) return importArchive(parts, source, order);
  if (!found.isDirectory()) return importStream(parts, await openArchiveFile(source), order);
  if (await isLayout(source)) return importLayout(parts, layoutAt(source), order);
  if (order.repo !== null || order.tags.length > 0)
    throw new TransferRefusal(`${source} is no image layout: --repo and --tag are for a single one`);
  return importBelow(parts, source);
}

/** Each layout below a folder becomes the repository of its path; one that cannot be used is skipped and named. */
async function importBelow(parts: ImportParts, folder: string): Promise<void> {
  const proven = BlobIntake.memory();
  let count = 0;
  for await (const repo of repositoriesBelow(folder)) {
    count += 1;
    parts.tally.at = repo;
    const layout = layoutAt(join(folder, repo));
    await takeLayout(parts, { layout, repo, tags: [], proven }).catch((error: unknown) => {
      if (!isOfContent(error)) throw error;
      parts.tally.skip(repo, printable(error.message));
    });
  }
  if (count === 0) throw new TransferRefusal(`${folder} is no image layout, and there is none below it`);
}

async function importLayout(parts: ImportParts, layout: RepositoryStore, order: ImportOrder): Promise<void> {
  const repo = order.repo ?? repositoryOf(await entriesOf(layout)) ?? needsName();
  parts.tally.at = repo;
  await takeLayout(parts, { layout, repo, tags: order.tags, proven: BlobIntake.memory() });
}

function needsName(): never {
  throw new TransferRefusal('the layout does not say of which repository it is: name one by --repo');
}

interface LayoutOrder {
  readonly layout: RepositoryStore;
  readonly repo: RepoName;
  readonly tags: readonly Tag[];
  readonly proven: ReturnType<typeof BlobIntake.memory>;
}

async function takeLayout(parts: ImportParts, { layout, repo, tags, proven }: LayoutOrder): Promise<void> {
  const blobs = new BlobIntake(parts, repo, proven);
  await takeEntries(parts, { entries: await entriesOf(layout), tags, blobs, source: layout });
}

interface EntriesOrder {
  readonly entries: readonly IndexEntry[];
  readonly tags: readonly Tag[];
  readonly blobs: BlobIntake;
  readonly source: ContentSource;
}

/** Takes what index.json names, or what of it has the tags, with what is about it. */
async function takeEntries(parts: ImportParts, order: EntriesOrder): Promise<void> {
  const { tags, blobs, source } = order;
  const entries = entriesFor(order.entries, blobs.repo);
  const named = rootsOf(entries, tags);
  for (const problem of named.problems) parts.tally.skip(blobs.repo, problem);
  const all = rootsOf(entries, []).roots;
  const roots = tags.length === 0 ? named.roots : await withReferrers(named.roots, all, source);
  await takeRoots(new ManifestIntake(parts, blobs, source), roots, parts.tally);
}

async function importArchive(parts: ImportParts, file: string, order: ImportOrder): Promise<void> {
  const repo = order.repo ?? (await repositoryOfArchive(file));
  return importStream(parts, await openArchiveFile(file), { ...order, repo });
}

async function repositoryOfArchive(file: string): Promise<RepoName> {
  const stream = await openArchiveFile(file);
  try {
    return repositoryOf(await findArchiveIndex(stream)) ?? needsName();
  } finally {
    await stream.close();
  }
}

async function importStream(parts: ImportParts, stream: ByteStream, order: ImportOrder): Promise<void> {
  const { repo, tags, source } = order;
  try {
    if (repo === null) {
      const what = typeof source === 'string' ? source : 'standard input';
      throw new TransferRefusal(`name the repository for what comes from ${what} by --repo`);
    }
    parts.tally.at = repo;
    const blobs = new BlobIntake(parts, repo);
    const entries = await takeArchive(stream, blobs);
    // All bytes of the archive stand in the repository now, which is where they are read; nothing has a name yet.
    await takeEntries(parts, { entries, tags, blobs, source: parts.storage.repository(repo) });
  } finally {
    await stream.close();
  }
}
