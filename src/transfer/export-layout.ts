import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { FolderLock } from '#metadata';
import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import { ArchiveSink } from './archive-sink.ts';
import { streamSink, writeWhole } from './archive-output.ts';
import { selectEntries } from './export-selection.ts';
import type { ExportParts, Selection } from './export-selection.ts';
import { ExportWalk } from './export-walk.ts';
import { FolderSink } from './folder-sink.ts';
import { layoutAt } from './layout-folder.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { claimTarget, enterBelow } from './served-target.ts';
import { isOfContent } from './take-roots.ts';
import type { Tally } from './tally.ts';
import type { ByteSink } from './tar-writer.ts';

export interface ExportOrder {
  /** What to export; `all`: every repository. */
  readonly selections: readonly Selection[] | 'all';
  /** A folder, a file that ends in `.tar`, or a stream that takes an archive. */
  readonly target: string | Writable;
  readonly referrers: boolean;
}

const PAGE = 1000;

/**
 * Exports repositories as OCI image layouts. A single selection becomes the layout at the target itself; several, and
 * all, become one layout each below it, by their names: a folder that this registry and zot can serve.
 */
export async function exportLayouts(parts: ExportParts, order: ExportOrder, tally: Tally): Promise<void> {
  const { selections, target } = order;
  if (typeof target !== 'string') return toArchive(parts, order, { tally, write: streamSink(target) });
  if (/\.(tar\.\w+|tgz)$/.test(target))
    throw new TransferRefusal('archives are written as they are: use "--to - | gzip > file", or a .tar');
  if (target.endsWith('.tar'))
    return writeWhole(target, (write) => toArchive(parts, order, { tally, write }));
  const [only, second] = selections === 'all' ? [] : selections;
  if (only !== undefined && second === undefined) {
    const claimed = { folder: target, begin: claimTarget };
    return toFolder(parts, { ...order, tally }, only, claimed);
  }
  const lock = claimTarget(target);
  try {
    await toFolders(parts, { ...order, tally }, target);
  } finally {
    lock?.release();
  }
}

async function toFolders(
  parts: ExportParts,
  order: ExportOrder & { readonly tally: Tally },
  target: string,
): Promise<void> {
  const { selections, tally } = order;
  for await (const selection of eachOf(parts, selections)) {
    const { repo } = selection;
    const entered = { folder: join(target, repo), begin: enterBelow };
    await toFolder(parts, order, selection, entered).catch((error: unknown) => {
      if (selections !== 'all' || !isOfOne(error)) throw error;
      // A repository that is not known any more was deleted since it was listed.
      if (!(error instanceof RegistryError)) tally.skip(repo, printable(error.message));
    });
  }
}

/** Whether an error concerns one repository, so that the others may go well. */
function isOfOne(error: unknown): error is Error {
  if (error instanceof RegistryError) return error.code === 'NAME_UNKNOWN';
  return isOfContent(error);
}

async function* eachOf(
  parts: ExportParts,
  selections: ExportOrder['selections'],
): AsyncGenerator<Selection, void, undefined> {
  if (selections !== 'all') return yield* selections;
  for (let last: RepoName | '' = ''; ;) {
    const page = await parts.registry.listing.repositories({ last, limit: PAGE }, () => true);
    for (const repo of page.repositories) yield { repo, references: [] };
    last = page.repositories.at(-1) ?? '';
    if (!page.more) return;
  }
}

async function toFolder(
  parts: ExportParts,
  { tally, referrers }: { readonly tally: Tally; readonly referrers: boolean },
  selection: Selection,
  { folder, begin }: { readonly folder: string; readonly begin: (folder: string) => FolderLock | null },
): Promise<void> {
  tally.at = selection.repo;
  const entries = await selectEntries(parts, selection);
  const lock = begin(folder);
  try {
    const sink = new FolderSink(layoutAt(folder), tally);
    await sink.begin();
    const walk = new ExportWalk({ ...parts, tally, sink, referrers }, selection.repo);
    await sink.finish(await walk.carry(entries));
  } finally {
    lock?.release();
  }
}

async function toArchive(
  parts: ExportParts,
  { selections, referrers }: ExportOrder,
  { tally, write }: { readonly tally: Tally; readonly write: ByteSink },
): Promise<void> {
  const [selection, second] = selections === 'all' ? [] : selections;
  if (selection === undefined || second !== undefined)
    throw new TransferRefusal('an archive holds one repository: name one, or a folder for several');
  tally.at = selection.repo;
  const entries = await selectEntries(parts, selection);
  const sink = new ArchiveSink(write, tally);
  await sink.begin();
  const walk = new ExportWalk({ ...parts, tally, sink, referrers }, selection.repo);
  const complete = await walk.carry(entries);
  if (complete.length === 0) throw new TransferRefusal('nothing of it could be exported');
  await sink.finish(complete, selection.repo);
}
