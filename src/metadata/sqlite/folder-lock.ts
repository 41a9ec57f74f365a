import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface FolderLock {
  release(): void;
}

/** What is said of a folder that another process has. */
export const IN_USE = 'another process of this registry serves it';

/** Kept here, so that a lock that nobody looks at is not given back as garbage. */
const heldLocks = new Set<DatabaseSync>();

/**
 * Takes the folder for this process, for as long as it lives. The lock is the kernel's (SQLite holds it on a file
 * of its own), so that nothing stays locked after kill -9. Gives a text that says who is in the way.
 */
export function lockFolder(folder: string): FolderLock | string {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(join(folder, 'lock.db'), { timeout: 0 });
    // Held open for as long as the folder is ours. Nothing is ever written, so that a full disk can be served.
    db.exec('BEGIN EXCLUSIVE');
    const held = db;
    heldLocks.add(held);
    return {
      release: () => {
        heldLocks.delete(held);
        held.close();
      },
    };
  } catch (error) {
    db?.close();
    const reason = error instanceof Error ? error.message : String(error);
    return /locked|busy/i.test(reason) ? IN_USE : reason;
  }
}

/** Whether zot itself has its databases in this folder open (it holds a lock on them for its life; Linux only). */
export function heldByZot(root: string): boolean {
  const inodes = ['meta.db', 'cache.db'].flatMap((name) => {
    const found = statSync(join(root, name), { throwIfNoEntry: false, bigint: true });
    return found === undefined ? [] : [found.ino.toString()];
  });
  if (inodes.length === 0 || process.platform !== 'linux') return false;
  const locks = readFileSync('/proc/locks', 'utf8');
  return locks.split('\n').some((line) => {
    const inode = /:(\d+) \d+ \S+$/.exec(line)?.[1];
    return line.includes('FLOCK') && inode !== undefined && inodes.includes(inode);
  });
}
