import type { RepoName } from '#oci/repo-name';
import { isRepoName } from '#oci/repo-name';
import type { StorageDriver } from './driver.ts';
import { BLOBS_FOLDER, INDEX_FILE, UPLOADS_FOLDER } from './paths.ts';
import { RepositoryStore } from './repository-store.ts';

export { StorageError } from './driver.ts';
export type {
  FileReader,
  FileStat,
  FileWriter,
  Fingerprint,
  ListEntry,
  StorageDriver,
  StorageFault,
} from './driver.ts';
export { FRESH_HEAD, LAYOUT_TEXT, descriptorJson, parseIndexFile, withoutTag } from './index-file.ts';
export type { IndexEntry, IndexFile } from './index-file.ts';
export { LocalDriver } from './drivers/local.ts';
export { BLOBS_FOLDER, INDEX_FILE, LAYOUT_FILE, OWN_FOLDER, UPLOADS_FOLDER } from './paths.ts';
export { RepositoryStore, hashReader } from './repository-store.ts';
export type { BlobCopy, ReadPacer } from './repository-store.ts';
export { UploadWriter } from './upload-writer.ts';

/** One place for repositories: the default store, or a sub-path of the configuration. */
export interface Store {
  /** `/a` for a sub-path, '' for the default store. */
  readonly route: string;
  readonly driver: StorageDriver;
  /** Whether an answer waits for its bytes to be on the disk (`storage.commit`). */
  readonly durable: boolean;
  /** Whether equal blobs of its repositories are stored once (`storage.dedupe`), absent: no. It may change. */
  dedupe?: boolean;
}

export interface RepositoryFolder {
  readonly name: RepoName;
  readonly isRepository: boolean;
}

/** As deep as the longest name can be. */
const DEPTH_MAX = 128;

/** All stores of a registry; finds the store of a repository by the first component of its name, as zot does. */
export class Storage {
  readonly stores: readonly Store[];
  #default: Store;
  #byRoute: ReadonlyMap<string, Store>;

  /** The first store is the default one, the others are sub-paths. */
  constructor(stores: readonly [Store, ...Store[]]) {
    this.stores = stores;
    this.#default = stores[0];
    this.#byRoute = new Map(stores.slice(1).map((store) => [store.route, store]));
  }

  repository(name: RepoName): RepositoryStore {
    const { driver, durable } = this.storeOf(name);
    return new RepositoryStore(name, driver, durable);
  }

  /** `a/b` belongs to the sub-path `/a` if there is one; `a` alone to the sub-path `/` (zot). */
  storeOf(name: RepoName): Store {
    if (this.#byRoute.size === 0) return this.#default;
    const slash = name.indexOf('/');
    return this.#byRoute.get(slash < 0 ? '/' : `/${name.slice(0, slash)}`) ?? this.#default;
  }

  /** Whether blobs of one can be shared with the other. */
  shareStore(one: RepoName, other: RepoName): boolean {
    return this.storeOf(one) === this.storeOf(other);
  }

  /**
   * Every repository on the stores: a folder with a valid name that holds `index.json`. `onProblem` hears of
   * folders that cannot be read; they are passed over, and the walk goes on.
   */
  async *repositories(onProblem: (path: string, error: unknown) => void): AsyncIterable<RepoName> {
    for await (const { name, isRepository } of this.folders(onProblem)) if (isRepository) yield name;
  }

  /** As `repositories`, with the folders that hold blobs or uploads and are no repository (yet). */
  async *folders(onProblem: (path: string, error: unknown) => void): AsyncIterable<RepositoryFolder> {
    for (const store of this.stores) {
      for await (const folder of walk(store.driver, '', 0, onProblem)) {
        if (this.storeOf(folder.name) === store) yield folder;
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.stores.map((store) => store.driver.close()));
  }
}

/** A folder of blobs, which may hold a million files. */
const BLOBS_OF = /\/blobs\/(sha256|sha384|sha512)$/;

async function* walk(
  driver: StorageDriver,
  folder: string,
  depth: number,
  onProblem: (path: string, error: unknown) => void,
): AsyncIterable<RepositoryFolder> {
  const found = await lookInto(driver, folder, onProblem);
  const holdsBytes = found.folders.some((name) => name === UPLOADS_FOLDER || name === BLOBS_FOLDER);
  if ((found.isLayout || holdsBytes) && isRepoName(folder))
    yield { name: folder, isRepository: found.isLayout };
  if (depth >= DEPTH_MAX) return;
  for (const name of found.folders) {
    const path = folder === '' ? name : `${folder}/${name}`;
    // A name that no repository can have leads to none, and blobs are not walked through.
    if (isRepoName(path) && !BLOBS_OF.test(path)) yield* walk(driver, path, depth + 1, onProblem);
  }
}

async function lookInto(
  driver: StorageDriver,
  folder: string,
  onProblem: (path: string, error: unknown) => void,
): Promise<{ isLayout: boolean; folders: readonly string[] }> {
  const folders: string[] = [];
  let isLayout = false;
  try {
    for await (const { name, kind } of driver.list(folder)) {
      if (kind === 'folder') folders.push(name);
      // Without its oci-layout too: by name it is served all the same, and the next push mends it.
      else if (name === INDEX_FILE) isLayout = true;
    }
  } catch (error) {
    onProblem(folder, error);
    return { isLayout: false, folders: [] };
  }
  return { isLayout, folders: folders.sort() };
}
