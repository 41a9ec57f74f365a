#!/usr/bin/env node
import { main } from '../cli/main.ts';

// A reader that has seen enough, as in `zot licenses | head`, is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// `argv0` is the name as the user typed it: the single executable, or a link to it, under another name. A run through
// `node` has the script instead.
const calledAs = /(^|[\\/])node(\.exe)?$/.test(process.argv0) ? (process.argv[1] ?? '') : process.argv0;
process.exitCode = await main(process.argv.slice(2), calledAs);
