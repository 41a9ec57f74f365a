import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { migrate, schemaVersion } from './migrations.ts';
import type { Migration } from './migrations.ts';

export interface OpenOptions {
  readonly path: string;
  readonly migrations: readonly Migration[];
  /** FULL: a commit survives a power cut. NORMAL: it survives a crash of the process, never tears. */
  readonly synchronous: 'FULL' | 'NORMAL';
}

/**
 * Opens a database for its one writer and brings its schema up to date. Throws when the file is damaged, or
 * newer than this program.
 */
export function openForWriting(options: OpenOptions): DatabaseSync {
  const db = new DatabaseSync(options.path, { timeout: 0 });
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous};`);
    // The journal is folded back in small steps, and does not stay large after a rebuild.
    db.exec(
      'PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -16384;',
    );
    const version = schemaVersion(db);
    if (version > options.migrations.length) {
      throw new SchemaVersionError(
        `it has schema version ${version}, newer than this program's ${options.migrations.length}`,
      );
    }
    migrate(db, options.migrations);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Throws when the pages of a database do not fit together. A file that was overwritten opens all the same while its
 * journal holds the newer pages, and would fail later, in the middle of its work. About 1.5 ms for each MiB.
 */
export function requireSound(db: DatabaseSync): void {
  const found = String(db.prepare('PRAGMA quick_check(1)').get()?.quick_check);
  if (found !== 'ok') throw new UnsoundDatabaseError(`its pages do not fit together: ${found}`);
}

/** Builds something on an open database, which is closed when that fails. */
export function buildOn<Result>(db: DatabaseSync, build: (db: DatabaseSync) => Result): Result {
  try {
    return build(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite's codes for a file that is damaged, no database, or has other tables than ours: 11, 26 and 1. */
const USELESS_CODES: readonly number[] = [11, 26, 1];

/** A database that this program cannot use however often it tries: not one that is full, locked or out of reach. */
export function isUseless(error: unknown): boolean {
  if (error instanceof SchemaVersionError || error instanceof UnsoundDatabaseError) return true;
  return error instanceof Error && 'errcode' in error && USELESS_CODES.includes(Number(error.errcode) & 0xff);
}

/** The file is damaged somewhere inside. */
class UnsoundDatabaseError extends Error {}

/** The schema is of another program: newer, or without a way to the version that is asked for. */
export class SchemaVersionError extends Error {}

/** Opens a database that another process writes, for reading. */
export function openForReading(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  db.exec('PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456;');
  return db;
}

/** Removes a database with its journal. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
}
