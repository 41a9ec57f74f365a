#!/usr/bin/env node
import { main } from '../cli/main.ts';

let outputFault: NodeJS.ErrnoException | null = null;
// A reader that has seen enough, as in `zot licenses | head`, is no failure; a full disk is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') outputFault ??= error;
});
// Where nothing can be said, nobody is told.
process.stderr.on('error', () => undefined);
process.on('exit', () => {
  // A command that noticed has said so itself.
  if (outputFault === null || (process.exitCode ?? 0) !== 0) return;
  process.stderr.write(`Error: the output cannot be written: ${outputFault.message}\n`);
  process.exitCode = 1;
});

// `argv0` is the name as the user typed it: the single executable, or a link to it, under another name. A run through
// `node` has the script instead.
const calledAs = /(^|[\\/])node(\.exe)?$/.test(process.argv0) ? (process.argv[1] ?? '') : process.argv0;
process.exitCode = await main(process.argv.slice(2), calledAs);
