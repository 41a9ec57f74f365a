import type { IndexWriter } from '#metadata';
import type { Job, Task, TaskContext } from '../scheduler.ts';
import { endUndo } from './end-undo.ts';
import type { UndoParts, UndoReport } from './end-undo.ts';

/** What is held may stay longer than it must by a tenth of the time, and by ten minutes at most. */
const INTERVAL_MS_MAX = 600_000;
const INTERVAL_MS_MIN = 1000;

/**
 * Ends what can no longer be undone. What was held becomes garbage by that, and goes with the next collection. The
 * first round looks at everything, so that a store whose undo was switched off keeps nothing.
 */
export function undoJob(parts: UndoParts & { readonly index: IndexWriter }): Job {
  const { keeper, clock, index } = parts;
  const { shortestUndoMs } = keeper.tags.rules;
  let report: UndoReport = { holds: 0, tags: 0 };
  let isFirst = true;

  async function end(context: TaskContext): Promise<void> {
    await clock.correct({ index, tags: keeper.tags });
    report = await endUndo(parts, context, isFirst);
    isFirst = false;
  }

  return {
    name: 'undo',
    priority: 'low',
    intervalMs:
      shortestUndoMs === null ? 0 : Math.min(Math.max(shortestUndoMs / 10, INTERVAL_MS_MIN), INTERVAL_MS_MAX),
    async *tasks(): AsyncIterable<Task> {
      yield { name: 'undo', run: end };
    },
    summary: () => `${report.holds} holds and the histories of ${report.tags} tags ended`,
  };
}
