import type { Job, Task, TaskContext } from '../scheduler.ts';
import { inWindow } from './gc-rules.ts';
import { emptyReport } from './sweep-parts.ts';
import type { SweepParts, SweepReport } from './sweep-parts.ts';
import { Sweep } from './sweep.ts';

/** The name of a store's collection in the scheduler: `gc`, `gc /a`. */
export function gcJobName(route: string): string {
  return route === '' ? 'gc' : `gc ${route}`;
}

/**
 * Periodic collection in one store, with zot's keys. What a sweep marked is removed when its grace is over, also
 * when the next sweep is not due by then.
 */
export function gcJob(parts: SweepParts, onReport: (report: SweepReport) => void = () => undefined): Job {
  const { logger, store, clock } = parts;
  const name = gcJobName(store.route);
  const place = store.route === '' ? 'the default store' : store.route;
  let report = emptyReport();
  let againMs = Infinity;
  let running: Sweep | null = null;
  /** When the next sweep is due, by the time that this process runs; before that, only marked blobs are removed. */
  let sweepDueMs = 0;

  async function collect(context: TaskContext): Promise<void> {
    const sweep = new Sweep(parts, context, report);
    running = sweep;
    logger.info({ module: 'gc' }, `executing gc of orphaned blobs for ${place}`);
    try {
      const isDue = clock.runningMs >= sweepDueMs;
      await (isDue ? sweep.run() : sweep.finish());
      const { intervalMs } = parts.settings;
      if (isDue) sweepDueMs = intervalMs > 0 ? clock.runningMs + intervalMs : Infinity;
      againMs = Math.min((await sweep.waitMs()) ?? Infinity, sweepDueMs - clock.runningMs);
      if (report.blobs > 0) logger.info({ module: 'gc', count: report.blobs }, 'garbage collected blobs');
      report.behindMs = sweep.lateness.behindMs;
      if (report.behindMs > 0)
        logger.warn({ module: 'gc', behindMs: report.behindMs }, `gc is behind in ${place}`);
      logger.info({ module: 'gc', ...report }, `gc successfully completed for ${place}`);
      onReport(report);
    } catch (error) {
      logger.error({ module: 'gc', error }, `gc unsuccessfully completed for ${place}`);
      throw error;
    } finally {
      running = null;
    }
  }

  return {
    name,
    priority: 'medium',
    intervalMs: parts.settings.intervalMs,
    mayStart: (nowMs) => inWindow(parts.settings.window, nowMs),
    async *tasks(): AsyncIterable<Task> {
      report = emptyReport();
      againMs = Infinity;
      yield { name, run: collect };
    },
    againMs: () => againMs,
    urgency: () => running?.lateness.degree ?? 0,
    summary: () => describe(report),
  };
}

function describe(report: SweepReport): string {
  const { tags, manifests, blobs, freedBytes, uploads, repositories, behindMs } = report;
  const contents = `${tags} tags, ${manifests} manifests, ${blobs} blobs`;
  const behind = behindMs > 0 ? `, ${Math.ceil(behindMs / 1000)} s behind` : '';
  return `${contents}, ${uploads} uploads, ${repositories} repositories removed, ${freedBytes} bytes freed${behind}`;
}
