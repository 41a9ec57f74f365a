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
    db.exec('PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -16384;');
    const version = schemaVersion(db);
    if (version > options.migrations.length) {
      throw new Error(`it has schema version ${version}, newer than this program's ${options.migrations.length}`);
    }
    migrate(db, options.migrations);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

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
