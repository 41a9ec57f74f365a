import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';

/** How to start this program again: `spawn(file, [...args, command, ...])`. */
export interface SelfCommand {
  /** Absolute path of the executable to start. */
  readonly file: string;
  /** What must stand before the program's own arguments; empty inside the single executable. */
  readonly args: readonly string[];
}

/** Replaced by esbuild's `define` in a bundle: the entry file relative to the bundle that holds this module. */
declare const ZOT_BUNDLE_ENTRY: string | undefined;

/**
 * The command that starts this same program again, for worker processes.
 *
 * The single executable is its own entry, so it takes no script. From source (and from the packed npm package) Node
 * is started with the entry file. Node's own flags (conditions, memory limits) are handed on, since a worker of a
 * minimal build must be minimal as well; those that tie the first process to a debugger or a test runner are not.
 */
export function selfCommand(): SelfCommand {
  if (isSea()) return { file: process.execPath, args: [] };
  const entry = typeof ZOT_BUNDLE_ENTRY === 'undefined' ? '../bin/zot.ts' : ZOT_BUNDLE_ENTRY;
  const script = fileURLToPath(new URL(entry, import.meta.url));
  const flags = process.execArgv.filter((flag) => !/^--(inspect|debug-port|test|watch)/.test(flag));
  return { file: process.execPath, args: [...flags, script] };
}
