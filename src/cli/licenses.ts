import { getAsset, isSea } from 'node:sea';
import type { CommandIo } from './command.ts';

/** Prints the licences of all that the executable carries; the build put them inside as an asset. */
export function licensesCommand(io: CommandIo): number {
  if (isSea()) io.stdout.write(getAsset('licenses.txt', 'utf8'));
  else
    io.stdout.write(
      'From source, each package in node_modules carries its licence; that of zot is in LICENSE.\n',
    );
  return 0;
}
