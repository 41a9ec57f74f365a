import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ControlRefusal } from '#control';
import { byteSize } from '#lib/byte-text';
import { backUpRecordsOf, lockFolder, restoreRecordsOf } from '#metadata';
import { OWN_FOLDER } from '#storage';
import { printable } from '#transfer';
import { requireOwner } from '../app.ts';
import type { CommandIo } from './command.ts';
import { configOf, refusing } from './control.ts';

export interface BackupArguments {
  readonly target: string;
  /** Where the backup is to be, or is. */
  readonly file: string;
  readonly json: boolean;
}

/** `zot backup`: copies the records while they are in use. */
export function backupCommand({ target, file, json }: BackupArguments, io: CommandIo): Promise<number> {
  return refusing(io, async () => {
    const folder = ownFolderOf(target);
    if (!existsSync(join(folder, 'records.db')))
      throw new ControlRefusal(`there are no records in ${folder}`);
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true)
      throw new ControlRefusal(`${file} is a folder: name a file in it`);
    told(`the records cannot be copied to ${file}`, () => backUpRecordsOf(folder, resolve(file)));
    const { size } = statSync(file);
    io.stdout.write(
      json ? `${JSON.stringify({ file, sizeBytes: size })}\n` : `copied the records (${byteSize(size)})\n`,
    );
    return 0;
  });
}

/** `zot restore`: replaces the records of a folder that nobody serves. */
export function restoreCommand({ target, file, json }: BackupArguments, io: CommandIo): Promise<number> {
  return refusing(io, async () => {
    const folder = ownFolderOf(target);
    if (!existsSync(folder))
      throw new ControlRefusal(`${folder} is missing: start the server once, and stop it again`);
    if (!existsSync(file)) throw new ControlRefusal(`there is no ${file}`);
    const lock = lockFolder(folder);
    if (typeof lock === 'string') throw new ControlRefusal(`stop the server first: ${lock}`);
    try {
      told(`${file} cannot be restored`, () => restoreRecordsOf(folder, file));
    } finally {
      lock.release();
    }
    io.stdout.write(json ? `${JSON.stringify({ restored: file })}\n` : `restored the records of ${file}\n`);
    return 0;
  });
}

/** The folder of the databases, which must be this user's. */
function ownFolderOf(target: string): string {
  const folder = join(resolve(configOf(target).storage.rootDirectory), OWN_FOLDER);
  requireOwner(folder);
  return folder;
}

/** Runs what SQLite or the file system may refuse, in words for the user. */
function told(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new ControlRefusal(
      `${what}: ${printable(error instanceof Error ? error.message : String(error))}`,
      {
        cause: error,
      },
    );
  }
}
