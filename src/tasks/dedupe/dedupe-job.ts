import type { Job, Task, TaskContext } from '../scheduler.ts';
import { readyOrStopped } from '../waiting.ts';
import { emptyPassReport } from './pass-parts.ts';
import type { PassParts, PassReport } from './pass-parts.ts';
import { readPassState, writePassState } from './pass-state.ts';
import type { PassState } from './pass-state.ts';
import { DedupePass } from './pass.ts';

/** zot's texts, which scripts wait for. */
const FINISHED = 'no digests left, finished';
const SKIPPED = 'restore-complete marker present, skipping dedupe restore scan';

/** The name of a store's pass in the scheduler: `dedupe`, `dedupe /a`. */
export function dedupeJobName(route: string): string {
  return route === '' ? 'dedupe' : `dedupe ${route}`;
}

/**
 * The pass over one store after each start and each change of `dedupe`, as in zot: with it, equal blobs are linked;
 * without it, those that were shared by it are made independent again, once.
 */
export function dedupeJob(parts: PassParts, onReport: (report: PassReport) => void = () => undefined): Job {
  const name = dedupeJobName(parts.store.route);
  let report = emptyPassReport();

  async function run(context: TaskContext): Promise<void> {
    await readyOrStopped(parts.ready, context.signal);
    if (context.signal.aborted) return;
    const mode = parts.store.dedupe === true ? 'link' : 'restore';
    const before = await readPassState(parts.store);
    if (mode === 'restore' && (before === null || (before.mode === mode && before.done))) {
      parts.logger.info({ component: 'dedupe' }, before === null ? FINISHED : SKIPPED);
      return;
    }
    await pass(mode, resumeAt(mode, before), context);
    onReport(report);
  }

  async function pass(
    mode: PassState['mode'],
    after: PassState['after'],
    context: TaskContext,
  ): Promise<void> {
    const { store, logger } = parts;
    await writePassState(store, { mode, after, done: false }, true);
    const isOver = await new DedupePass(mode, parts, context, report).run(after);
    if (!isOver) return;
    // What could not be made independent is tried again by the next start.
    const done = mode === 'link' || report.failed === 0;
    await writePassState(store, { mode, after: '', done }, true);
    logger.info({ component: 'dedupe', ...report }, FINISHED);
  }

  return {
    name,
    priority: 'medium',
    intervalMs: 0,
    interruptible: true,
    async *tasks(): AsyncIterable<Task> {
      report = emptyPassReport();
      yield { name, run };
    },
    summary: () => describe(report),
  };
}

function resumeAt(mode: PassState['mode'], before: PassState | null): PassState['after'] {
  return before !== null && before.mode === mode && !before.done ? before.after : '';
}

function describe({ linked, savedBytes, copied, copiedBytes, damaged }: PassReport): string {
  const copies = copied === 0 ? '' : `, ${copied} blobs copied, ${copiedBytes} bytes used`;
  return `${linked} blobs linked, ${savedBytes} bytes saved${copies}, ${damaged} damaged`;
}
