import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepoName } from '#oci/repo-name';
import { INDEX_FILE, LocalDriver, RepositoryStore, Storage } from '#storage';
import type { IndexEntry } from '#storage';
import { readLayoutIndex } from './layout-index.ts';
import { TransferRefusal } from './refusal.ts';

/** The folder itself, where a store has repositories below it: only paths are made of this name. */
const HERE = '.' as RepoName;

/** A folder as an OCI image layout, whose bytes are durable when a call has returned. */
export function layoutAt(folder: string): RepositoryStore {
  return new RepositoryStore(HERE, new LocalDriver(folder), true);
}

export async function isLayout(folder: string): Promise<boolean> {
  // What cannot be looked at is not there for us.
  const found = await stat(join(folder, INDEX_FILE)).catch(() => null);
  return found?.isFile() === true;
}

/** What index.json of a layout names. */
export async function entriesOf(layout: RepositoryStore): Promise<readonly IndexEntry[]> {
  const read = await layout.readIndex();
  if (read === null) throw new TransferRefusal(`there is no ${INDEX_FILE} in it`);
  return readLayoutIndex(read.bytes);
}

/** The repositories below a folder of layouts, by their paths: what an export of several makes, and a registry. */
export function repositoriesBelow(folder: string): AsyncIterable<RepoName> {
  const storage = new Storage([{ route: '', driver: new LocalDriver(folder), durable: false }]);
  return storage.repositories((path, error) => {
    throw new TransferRefusal(`${join(folder, path)} cannot be read: ${String(error)}`);
  });
}
