import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { IN_USE, heldByZot, lockFolder } from '#metadata';
import type { FolderLock } from '#metadata';
import { OWN_FOLDER } from '#storage';
import { TransferRefusal } from './refusal.ts';

/** A file system without locks, as some that other machines share. */
const NO_LOCKS = /disk I\/O error|locking protocol/;

/**
 * Makes the folder of an export and takes it for this process, for as long as it lives: what another export has
 * staged, and its index.json, are its own. Below it and above it nobody else may write either. Where the file system
 * knows no locks, `null`. The lock is the one of a server, which may not serve the folder meanwhile. Throws
 * `TransferRefusal`.
 */
export function claimTarget(target: string): FolderLock | null {
  requireUnserved(target);
  const own = join(target, OWN_FOLDER);
  makeFolder(target);
  // A server that serves it one day keeps secrets there.
  makeFolder(own, 0o700);
  const lock = lockFolder(own);
  if (typeof lock === 'string') {
    if (NO_LOCKS.test(lock)) return null;
    const why = lock === IN_USE ? 'another export fills it, or a server serves it' : lock;
    throw new TransferRefusal(`${target} cannot be taken for this export: ${why}`);
  }
  try {
    // Whoever came in between above it sees this lock when they get here.
    requireUnserved(dirname(realpathSync(target)));
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

/** Makes the folder of one repository in a target that was taken. Throws `TransferRefusal` where it is taken itself. */
export function enterBelow(folder: string): null {
  makeFolder(folder);
  const by = servedBy(folder);
  if (by !== null) throw new TransferRefusal(`${folder} is in use: ${by}`);
  return null;
}

function makeFolder(folder: string, mode = 0o777): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TransferRefusal(`${folder} cannot be made: ${why}`, { cause: error });
  }
}

/**
 * Refuses to write layouts into a storage that a registry serves or an export fills: its uploads under way would be
 * taken for what a killed export left, and its index.json would be written by two. Throws `TransferRefusal`.
 */
function requireUnserved(target: string): void {
  for (const folder of foldersAround(target)) {
    const by = servedBy(folder);
    if (by === null) continue;
    throw new TransferRefusal(`${target} lies in the storage ${folder}, and ${by}`);
  }
}

/** A folder, as far as it is there, and all that it lies in. */
function foldersAround(target: string): string[] {
  let folder = resolve(target);
  while (!existsSync(folder)) folder = dirname(folder);
  const found = [realpathSync(folder)];
  for (let at = found[0] ?? ''; dirname(at) !== at; at = dirname(at)) found.push(dirname(at));
  return found;
}

/** Who serves a folder, in words; `null`: nobody. */
function servedBy(folder: string): string | null {
  if (heldByZot(folder)) return 'a running zot serves it: stop it first';
  const own = join(folder, OWN_FOLDER);
  if (!existsSync(join(own, 'lock.db'))) return null;
  const lock = lockFolder(own);
  if (lock === IN_USE)
    return 'a server serves it or another export fills it: use "zot import" there, or wait';
  if (typeof lock === 'string') return NO_LOCKS.test(lock) ? null : lock;
  lock.release();
  return null;
}
