import type { Job, Task, TaskContext } from '../scheduler.ts';
import { readyOrStopped } from '../waiting.ts';
import { emptyCounts } from './scrub-parts.ts';
import type { ScrubCounts, ScrubParts } from './scrub-parts.ts';
import { ScrubPass } from './scrub-pass.ts';
import { freshState, readScrubState, writeScrubState } from './scrub-state.ts';
import type { ScrubState } from './scrub-state.ts';

/** A pass gives its place to other background work this often. */
const SLICE_MS = 10_000;
/** How far a pass is, is noted this often. */
const NOTE_MS = 1000;
/** A pass that could not go on, since the store or the index is in trouble, has another try after this time. */
const RETRY_MS = 60_000;

/** The name of a store's scrub in the scheduler: `scrub`, `scrub /a`. */
export function scrubJobName(route: string): string {
  return route === '' ? 'scrub' : `scrub ${route}`;
}

/**
 * Periodic scrub of one store. A pass that a stop or a crash broke off goes on where it was; one that ended is begun
 * anew when the interval is over, counted from its end, also over restarts.
 */
export function scrubJob(parts: ScrubParts, intervalMs: number): Job {
  const name = scrubJobName(parts.store.route);
  let counts = emptyCounts();
  let waitMs = Infinity;

  async function* tasks(context: TaskContext): AsyncIterable<Task> {
    waitMs = Infinity;
    await readyOrStopped(parts.ready, context.signal);
    if (context.signal.aborted) return;
    const from = await resumeAt(parts, intervalMs);
    if (typeof from === 'number') {
      waitMs = from;
      return;
    }
    const pass = new ScrubPass(parts, from);
    counts = pass.counts;
    // Until a slice has ended well: its place is noted, and the next round goes on there.
    waitMs = RETRY_MS;
    let goesOn = true;
    while (goesOn && !pass.isOver) {
      goesOn = false;
      const task = pass.current === '' ? name : `scrub ${pass.current}`;
      const run = async (running: TaskContext): Promise<void> => {
        await slice(pass, parts, running);
        goesOn = true;
      };
      yield { name: task, run };
    }
    if (pass.isOver) waitMs = Infinity;
  }

  return {
    name,
    priority: 'low',
    intervalMs,
    interruptible: true,
    oneAtATime: true,
    tasks,
    againMs: () => (waitMs < Infinity ? waitMs : null),
    summary: () => describe(counts),
  };
}

async function slice(pass: ScrubPass, parts: ScrubParts, context: TaskContext): Promise<void> {
  let notedMs = parts.time.elapsedMs();
  try {
    await pass.run(context, SLICE_MS, async () => {
      if (parts.time.elapsedMs() - notedMs < NOTE_MS) return;
      await note(pass, parts);
      notedMs = parts.time.elapsedMs();
    });
  } finally {
    await note(pass, parts);
  }
}

async function note(pass: ScrubPass, { store, logger }: ScrubParts): Promise<void> {
  try {
    await writeScrubState(store, pass.state);
  } catch (error) {
    // It costs no more than time, and is tried again.
    logger.warn({ component: 'scrub', error }, 'how far the scrub is could not be noted');
  }
}

/** Where to go on, or how long to wait for the next pass. A clock that was set back does not hold it up. */
async function resumeAt(parts: ScrubParts, intervalMs: number): Promise<ScrubState | number> {
  const nowMs = parts.time.nowMs();
  const before = await readScrubState(parts.store);
  if (before === null) return freshState(nowMs);
  if (before.finishedMs === null) return before;
  const leftMs = before.finishedMs + intervalMs - nowMs;
  return leftMs > 0 && leftMs <= intervalMs ? leftMs : freshState(nowMs);
}

/** One line for logs and `zot tasks`. */
export function describe(counts: ScrubCounts): string {
  const { repositories, contents, bytesRead, damaged, mended, images, affected, failed } = counts;
  const looked = `${contents} contents of ${repositories} repositories, ${bytesRead} bytes read`;
  const failures = failed === 0 ? '' : `, ${failed} could not be looked at`;
  return `${looked}, ${damaged} damaged, ${mended} mended, ${affected} of ${images} images affected${failures}`;
}
