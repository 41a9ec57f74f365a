import { join } from 'node:path';
import { INDEX_MIGRATIONS } from './sqlite/index-schema.ts';
import { SqliteIndexReader } from './sqlite/index-reader.ts';
import { SqliteIndexWriter } from './sqlite/index-writer.ts';
import {
  buildOn,
  isUseless,
  openForReading,
  openForWriting,
  removeDatabase,
  requireSound,
} from './sqlite/open.ts';
import { backUpRecords, restoreRecords } from './sqlite/records-backup.ts';
import { RECORDS_MIGRATIONS, SqliteRecords } from './sqlite/sqlite-records.ts';
import { SqliteAccountsReader } from './sqlite/sqlite-accounts.ts';
import type { IndexWriter } from './index-contract.ts';
import { ReopeningIndex } from './reopening-index.ts';
import type { Records } from './records-contract.ts';

export type {
  Accounts,
  AccountsReader,
  AccountsWriter,
  ApiKeyRecord,
  ApiKeyUse,
  SessionRecord,
} from './accounts-contract.ts';
export { databaseFault, isFullDatabase } from './database-fault.ts';
export { DiskReserve } from './sqlite/disk-reserve.ts';
export type { DatabaseFault } from './database-fault.ts';
export { ReopeningIndex } from './reopening-index.ts';
export type {
  BlobRow,
  EntryRow,
  HolderRow,
  IndexReader,
  IndexWriter,
  ManifestRow,
  NewManifest,
  PageOptions,
  ReferenceRow,
  ReferrerRow,
  RepositoryChange,
  RepositorySnapshot,
  RepositoryState,
} from './index-contract.ts';
export type { FavouriteKind, FavouriteList, Favourites } from './favourites-contract.ts';
export type { DamageKind, DamageList, DamagePlace, DamageRow } from './damage-contract.ts';
export { HELD_SINCE_MS, UPLOADS, WHOLE_REPOSITORY } from './garbage-contract.ts';
export type { CandidateRow, Garbage, TombstoneRow } from './garbage-contract.ts';
export type { PrefixUsage, QuotaCertainty, QuotaCounts } from './quota-contract.ts';
export { TAG_EVENTS_MAX } from './history-contract.ts';
export type {
  GoneTag,
  History,
  Hold,
  NewTagEvent,
  PendingTagEvent,
  TagEvent,
  TagEventKey,
  TagEventKind,
} from './history-contract.ts';
export type {
  EarlierRecords,
  ManifestStatistics,
  PullCount,
  PushRecord,
  Records,
} from './records-contract.ts';
export type { RepositoryMove, RepositoryMoves } from './repository-changes-contract.ts';
export { IN_USE, heldByZot, lockFolder } from './sqlite/folder-lock.ts';
export type { FolderLock } from './sqlite/folder-lock.ts';

const INDEX_FILE = 'index.db';
const RECORDS_FILE = 'records.db';

/**
 * Opens the index for its one writer. A file that is damaged, foreign or of a newer version is removed and begun
 * anew, since the index is disposable; `onRebuild` hears why. Throws when the disk is full or the file out of reach.
 */
export function openIndexForWriting(folder: string, onRebuild: (reason: string) => void): IndexWriter {
  const path = join(folder, INDEX_FILE);
  const options = { path, migrations: INDEX_MIGRATIONS, synchronous: 'NORMAL' } as const;
  const open = () =>
    buildOn(openForWriting(options), (db) => {
      requireSound(db);
      return new SqliteIndexWriter(db);
    });
  try {
    return open();
  } catch (error) {
    if (!isUseless(error)) throw error;
    onRebuild(error instanceof Error ? error.message : String(error));
    removeDatabase(path);
    return open();
  }
}

/** Removes the index of a folder that nobody has open. */
export function removeIndexFiles(folder: string): void {
  removeDatabase(join(folder, INDEX_FILE));
}

/** Opens the index in a serving process; the keeper has made it before. */
export function openIndexForReading(folder: string): ReopeningIndex {
  return new ReopeningIndex(() =>
    buildOn(openForReading(join(folder, INDEX_FILE)), (db) => new SqliteIndexReader(db)),
  );
}

/** Opens the records for their one writer. Throws when they are damaged or newer: nothing may be lost in silence. */
export function openRecords(folder: string): Records {
  const path = join(folder, RECORDS_FILE);
  const options = { path, migrations: RECORDS_MIGRATIONS, synchronous: 'FULL' } as const;
  return buildOn(openForWriting(options), (db) =>
    buildOn(openForWriting({ ...options, synchronous: 'NORMAL' }), (fast) => new SqliteRecords(db, fast)),
  );
}

/** Opens the accounts of the records in a serving process; the keeper has made the file before. */
export function openAccountsForReading(folder: string): SqliteAccountsReader {
  return new SqliteAccountsReader(openForReading(join(folder, RECORDS_FILE)));
}

/** Copies the records of one moment into a file, while they are in use. Throws when they are damaged or not there. */
export function backUpRecordsOf(folder: string, target: string): void {
  backUpRecords(join(folder, RECORDS_FILE), target);
}

/** Puts the records of a backup into a folder that nobody has open. Throws when the backup cannot be used. */
export function restoreRecordsOf(folder: string, backup: string): void {
  restoreRecords(backup, join(folder, RECORDS_FILE));
}
