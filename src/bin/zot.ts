#!/usr/bin/env node
import { main } from '../cli/main.ts';

// `argv0` is the name as the user typed it: the single executable, or a link to it, under another name. A run through
// `node` has the script instead.
const calledAs = /(^|[\\/])node(\.exe)?$/.test(process.argv0) ? (process.argv[1] ?? '') : process.argv0;
process.exitCode = await main(process.argv.slice(2), calledAs);
