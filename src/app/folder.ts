/** A storage folder: its lock, its databases, its stores. */
import { accessSync, constants, mkdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { heldByZot, lockFolder, openIndexForWriting, openRecords, removeIndexFiles } from '#metadata';
import type { IndexWriter, Records } from '#metadata';
import { walkStorage } from '#registry';
import type { LocalKeeper } from '#registry';
import { LocalDriver, OWN_FOLDER, Storage } from '#storage';
import type { StorageDriver, Store } from '#storage';

/** The folder of our own databases, made where it is not there. Throws `StartError`. */
export function ownFolder(config: Config): string {
  const root = config.storage.rootDirectory;
  if (root === '')
    throw new StartError('storage.rootDirectory is not set: name the folder that holds the repositories');
  const folder = join(resolve(root), OWN_FOLDER);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Else the databases say that they cannot be opened, and nobody knows why.
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    if (heldByZot(realpathSync(root)))
      throw new StartError(`the folder ${root} is in use: a running zot serves it`);
  } catch (error) {
    if (error instanceof StartError) throw error;
    const isForbidden = (error as NodeJS.ErrnoException).code === 'EACCES';
    const hint = isForbidden ? '; run this as the user to whom the folder belongs' : '';
    throw new StartError(`the folder ${root} cannot be used: ${messageOf(error)}${hint}`, { cause: error });
  }
  return folder;
}

/** Removes the index, so that it is built again from the storage. */
export function removeIndex(config: Config): void {
  const folder = ownFolder(config);
  const lock = lockFolder(folder);
  if (typeof lock === 'string')
    throw new StartError(`the folder ${config.storage.rootDirectory} is in use: ${lock}`);
  removeIndexFiles(folder);
  lock.release();
}

/** Opens index and records; `rebuilt` says that the index is empty and must be filled from the storage. */
export function openDatabases(
  folder: string,
  logger: Logger,
): { index: IndexWriter; records: Records; rebuilt: boolean } {
  let rebuilt = false;
  const index = openIndexForWriting(folder, (reason) => {
    rebuilt = true;
    logger.warn(
      { component: 'metadata', reason },
      'the index cannot be used and is built again from the storage',
    );
  });
  try {
    return { index, records: openRecords(folder), rebuilt };
  } catch (error) {
    throw new StartError(`${join(folder, 'records.db')} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Carries on renames and removals of repositories that a process left half done. */
export async function resumeMoves(keeper: LocalKeeper, logger: Logger): Promise<void> {
  for (const { repo, target } of await carriedOn(keeper))
    logger.warn(
      { component: 'storage', repository: repo, ...(target === null ? {} : { target }) },
      target === null
        ? 'a removal that was cut short is complete'
        : 'a rename that was cut short is complete',
    );
}

async function carriedOn(keeper: LocalKeeper): ReturnType<LocalKeeper['repositories']['resume']> {
  try {
    return await keeper.repositories.resume();
  } catch (error) {
    const message = `a rename or removal that was cut short cannot be carried on: ${messageOf(error)}`;
    throw new StartError(message, { cause: error });
  }
}

export interface WalkParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly keeper: LocalKeeper;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The index knows nothing yet, and nobody is served before the walk has ended. */
  readonly isNew: boolean;
}

/** Looks at the whole storage once; a fault is logged. */
export async function walk(parts: WalkParts): Promise<void> {
  const { logger, keeper } = parts;
  const startedMs = performance.now();
  try {
    const repositories = await (parts.isNew ? lookAnew(parts) : look(parts));
    keeper.markWalked();
    const elapsedMs = Math.round(performance.now() - startedMs);
    logger.info({ component: 'storage', repositories, elapsedMs }, 'the storage has been looked at');
  } catch (error) {
    logger.error({ component: 'storage', error }, 'the look at the storage failed');
  }
}

function look(parts: WalkParts): Promise<number> {
  const { logger } = parts;
  return walkStorage({
    ...parts,
    report: (path, error) =>
      logger.warn({ component: 'storage', path, error }, 'a folder could not be looked at'),
    progress: (count) => logger.info({ component: 'storage', repositories: count }, 'looking at the storage'),
  });
}

async function lookAnew(parts: WalkParts): Promise<number> {
  try {
    return await parts.index.inBulk(() => look(parts));
  } catch (error) {
    parts.logger.warn({ component: 'storage', error }, 'the index cannot be filled at once: step by step');
    return look(parts);
  }
}

/** The stores of the configuration: the default one and its sub-paths. */
export function openStorage(config: Config, driver?: StorageDriver): Storage {
  const { storage } = config;
  const fallback: Store = {
    route: '',
    driver: driver ?? new LocalDriver(storage.rootDirectory),
    durable: storage.commit,
    dedupe: storage.dedupe,
  };
  const subPaths = Object.entries(storage.subPaths).map(([route, store]) => {
    mkdirSync(store.rootDirectory, { recursive: true, mode: 0o700 });
    const { commit: durable, dedupe } = store;
    return { route, driver: new LocalDriver(store.rootDirectory), durable, dedupe };
  });
  return new Storage([fallback, ...subPaths]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
