import { setFlagsFromString } from 'node:v8';

/**
 * Tells V8 how a server that moves bytes uses memory. By default every 64 MiB of buffers that pass through force a
 * collection of the whole heap, although they die young: that took half of the user time of uploads. Counted with
 * the heap's own limit they do not. To be called before the work begins; `docs/performance.md` has the figures.
 */
export function tuneHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
