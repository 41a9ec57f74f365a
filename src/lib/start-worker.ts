import { Worker } from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';

/** Replaced by esbuild's `define` in a bundle: the text of every worker by the name of its file. */
declare const ZOT_WORKERS: Readonly<Record<string, string>> | undefined;

/**
 * Starts a worker thread. From the sources it runs a file; a bundle, and so the single executable, has no file of it
 * and carries its text instead. Workers that are started so stand in the list of `tools/build/bundle.ts`.
 */
export function startWorker(source: URL, options: WorkerOptions): Worker {
  if (typeof ZOT_WORKERS === 'undefined') return new Worker(source, options);
  const name = source.pathname.slice(source.pathname.lastIndexOf('/') + 1);
  const text = ZOT_WORKERS[name];
  if (text === undefined) throw new Error(`the bundle has no worker ${name}`);
  return new Worker(text, { ...options, eval: true });
}
