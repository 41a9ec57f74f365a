import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { schemaVersion } from './migrations.ts';
import { SchemaVersionError, openForReading, openForWriting, removeDatabase, requireSound } from './open.ts';
import { RECORDS_MIGRATIONS } from './sqlite-records.ts';

/** What is secret stays so: keys, sessions and secrets are in it. */
const MODE = 0o600;

/**
 * Copies the records of one moment into a file of their own, whoever writes to them meanwhile. The file appears when
 * it is whole, proven and durable, in place of an earlier one. Throws when the records, or the copy, are damaged.
 */
export function backUpRecords(path: string, target: string): void {
  const staged = stagedPath(target);
  const db = openForReading(path);
  try {
    requireSound(db);
    // Made before it is filled, which may take long: by itself it would be as readable as the umask lets it.
    closeSync(openSync(staged, 'wx', MODE));
    // One reading transaction: the writer goes on, and nothing of what it does since is seen.
    db.prepare('VACUUM INTO ?').run(staged);
    requireRecords(staged);
    putInPlace(staged, target);
  } finally {
    db.close();
    rmSync(staged, { force: true });
  }
}

/**
 * Puts the records of a backup in the place of those of a folder that nobody has open. The old ones are there until
 * the new ones are. Throws when the backup is damaged, of another program, or of a newer version.
 */
export function restoreRecords(backup: string, path: string): void {
  const staged = stagedPath(path);
  try {
    copyFileSync(backup, staged);
    chmodSync(staged, MODE);
    requireRecords(staged);
    // A journal that stayed beside the new file would be taken for its own.
    foldJournal(path);
    for (const suffix of ['-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
    putInPlace(staged, path);
  } finally {
    removeDatabase(staged);
  }
}

function stagedPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
}

/** Brings what stands in the journal into the database; one that is damaged or gone has nothing to keep. */
function foldJournal(path: string): void {
  if (!existsSync(path)) return;
  try {
    openForWriting({ path, migrations: RECORDS_MIGRATIONS, synchronous: 'FULL' }).close();
  } catch {
    // What cannot be opened is what is being replaced.
  }
}

/** Throws unless a file holds sound records of a version that this program knows. */
function requireRecords(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    const version = schemaVersion(db);
    if (version > RECORDS_MIGRATIONS.length)
      throw new SchemaVersionError(`it has schema version ${version}, newer than this program's`);
    requireSound(db);
    const table = "SELECT count(*) AS found FROM sqlite_schema WHERE name = 'manifest_statistics'";
    if (db.prepare(table).get()?.found !== 1) throw new Error('these are not the records of a registry');
  } finally {
    db.close();
  }
}

function putInPlace(staged: string, target: string): void {
  sync(staged);
  renameSync(staged, target);
  sync(dirname(target));
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
