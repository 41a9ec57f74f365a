import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What `gc` of V8 takes; `last-resort` also gives up what can be made again, such as bytecode that ran once. */
type CollectGarbage = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/** What only the start needed has been let go of by then. */
const afterReadyMs = 1000;

/** Trims once, soon after the process has become ready; does not keep it alive. */
export function trimMemoryWhenReady(): void {
  setTimeout(trimMemory, afterReadyMs).unref();
}

/**
 * Gives back the memory that only the start needed: modules read once, the parsed configuration, half-empty pages.
 * About 9 MiB of private memory in each process, for some 40 ms in which the event loop stands still. V8 would do so
 * only under load, which an idle registry on a small device may never see. For once, when the process is ready.
 */
export function trimMemory(): void {
  setFlagsFromString('--expose-gc');
  // The flag gives the function to contexts that are made after it.
  const collect = runInNewContext('gc') as CollectGarbage;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
