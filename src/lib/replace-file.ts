import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

export interface ReplaceOptions {
  /** What the file was when the new text was made; `null` when there was none. */
  readonly expected: Stats | null;
  /** For a file that is made; one that is replaced keeps its own. */
  readonly mode: number;
}

/** Somebody else changed the file meanwhile. */
export class FileChangedError extends Error {}

/**
 * Replaces the text of a small file as a whole: whoever reads it sees the old or the new one, also after a power cut.
 * Mode and owner stay. A link is followed, and stays one. Throws `FileChangedError` when the file is not the one that
 * the new text was made from.
 */
export function replaceFile(path: string, text: string, options: ReplaceOptions): void {
  const target = options.expected === null ? path : realpathSync(path);
  const folder = dirname(target);
  const staged = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  const file = openSync(staged, 'wx', 0o600);
  try {
    try {
      // All of it: a single write takes what fits on a disk that is nearly full.
      writeFileSync(file, text);
      if (options.expected === null) fchmodSync(file, options.mode);
      else keepOwner(file, options.expected);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (!isSame(findStats(target), options.expected))
      throw new FileChangedError(`${path} was changed by somebody else`);
    renameSync(staged, target);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
  syncFolder(folder);
}

/** What is known of a file, `null` when there is none. */
export function findStats(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

function keepOwner(file: number, { uid, gid, mode }: Stats): void {
  if (uid !== process.geteuid?.() || gid !== process.getegid?.()) fchownSync(file, uid, gid);
  // After the owner, since a change of owner takes bits away.
  fchmodSync(file, mode & 0o7777);
}

function isSame(now: Stats | null, then: Stats | null): boolean {
  if (now === null || then === null) return now === then;
  return (
    now.ino === then.ino &&
    now.size === then.size &&
    now.mtimeMs === then.mtimeMs &&
    now.ctimeMs === then.ctimeMs
  );
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
