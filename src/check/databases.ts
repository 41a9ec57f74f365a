import { accessSync, constants, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { OWN_FOLDER } from '#storage';
import { findingOf } from './finding.ts';
import type { Finding, FindingKind } from './finding.ts';

const FILES: readonly { readonly name: string; readonly damaged: FindingKind; readonly witness: string }[] = [
  {
    name: 'index.db',
    damaged: 'index-database-damaged',
    witness: 'SELECT 1 FROM repositories WHERE name = ? AND entry_count > 0 LIMIT 1',
  },
  {
    name: 'records.db',
    damaged: 'records-database-damaged',
    witness: 'SELECT 1 FROM manifest_statistics WHERE repo = ? LIMIT 1',
  },
];

/** What the databases of the registry know, read while it may be running. */
export interface Databases {
  readonly findings: readonly Finding[];
  /** Whether a repository held something, as far as a database remembers; `null` when there is none to ask. */
  remembers(repo: string): boolean | null;
  close(): void;
}

/** Opens index and records of a storage folder for reading and looks whether they are whole. */
export async function openDatabases(root: string): Promise<Databases> {
  const folder = join(root, OWN_FOLDER);
  const findings: Finding[] = [];
  const open: { db: DatabaseSync; witness: string }[] = [];
  const sizes = await Promise.all(FILES.map(({ name }) => sizeOf(join(folder, name))));
  const isServedFolder = sizes.some((sizeBytes) => sizeBytes !== null);
  for (const [at, { name, damaged, witness }] of FILES.entries()) {
    const place = { path: `${OWN_FOLDER}/${name}` };
    if (sizes[at] === null) {
      // An index that is missing is built by the next start; what the records held is gone.
      if (isServedFolder && name === 'records.db')
        findings.push(findingOf(damaged, { ...place, detail: 'it is missing' }));
      continue;
    }
    const opened = openSound(join(folder, name));
    if (typeof opened === 'string') findings.push(findingOf(damaged, { ...place, detail: opened }));
    else open.push({ db: opened, witness });
  }
  return {
    findings,
    remembers: (repo) =>
      open.length === 0 ? null : open.some(({ db, witness }) => db.prepare(witness).get(repo) !== undefined),
    close: () => open.forEach(({ db }) => db.close()),
  };
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Beside a database SQLite makes a file of its own also to read it. Where nobody may write, as in a snapshot that is
 * mounted read-only, it is told that the database does not change; a journal that still holds something is then needed.
 */
function addressOf(path: string): string | URL {
  try {
    accessSync(dirname(path), constants.W_OK);
    return path;
  } catch {
    const journal = statSync(`${path}-wal`, { throwIfNoEntry: false });
    if (journal !== undefined && journal.size > 0) return path;
    const address = pathToFileURL(path);
    address.searchParams.set('immutable', '1');
    return address;
  }
}

/** The database, or what is wrong with it. */
function openSound(path: string): DatabaseSync | string {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(addressOf(path), { readOnly: true, timeout: 5000 });
    const version = db.prepare('PRAGMA user_version').get()?.user_version;
    if (version === 0) throw new Error('it is empty');
    const answers = db.prepare('PRAGMA integrity_check(3)').all();
    const problems = answers.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok');
    if (problems.length > 0) throw new Error(problems.join('; '));
    return db;
  } catch (error) {
    db?.close();
    return error instanceof Error ? error.message : String(error);
  }
}
