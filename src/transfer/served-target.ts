import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { heldByZot, lockFolder } from '#metadata';
import { OWN_FOLDER } from '#storage';
import { TransferRefusal } from './refusal.ts';

/**
 * Refuses to write layouts into a storage that a registry serves: its uploads under way would be taken for what a
 * killed export left, and its index.json would be written by two. Throws `TransferRefusal`.
 */
export function requireUnserved(target: string): void {
  for (const folder of foldersAround(target)) {
    const by = servedBy(folder);
    if (by === null) continue;
    throw new TransferRefusal(`${target} lies in the storage ${folder}, and ${by}: use "zot import" there`);
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
  if (heldByZot(folder)) return 'a running zot serves it';
  const own = join(folder, OWN_FOLDER);
  if (!existsSync(join(own, 'lock.db'))) return null;
  const lock = lockFolder(own);
  if (typeof lock === 'string') return lock;
  lock.release();
  return null;
}
