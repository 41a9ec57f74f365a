import { WHOLE_REPOSITORY } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import type { Job, Task, TaskContext } from '../scheduler.ts';
import { inWindow } from './gc-rules.ts';
import { emptyReport, sweep } from './sweep.ts';
import type { SweepParts, SweepReport } from './sweep.ts';

/** The name of a store's collection in the scheduler: `gc`, `gc /a`. */
export function gcJobName(route: string): string {
  return route === '' ? 'gc' : `gc ${route}`;
}

/** Repositories noted at once by a full sweep. */
const NOTE_AT_ONCE = 500;

/** Periodic collection in one store, with zot's keys. */
export function gcJob(parts: SweepParts, onReport: (report: SweepReport) => void = () => undefined): Job {
  const { settings, logger, store } = parts;
  let report = emptyReport();
  return {
    name: gcJobName(store.route),
    priority: 'medium',
    intervalMs: settings.intervalMs,
    mayStart: (nowMs) => inWindow(settings.window, nowMs),
    async *tasks(): AsyncIterable<Task> {
      report = emptyReport();
      yield { name: gcJobName(store.route), run: (context) => collect(parts, context, report, onReport) };
    },
    summary: () => describe(report),
  };

  async function collect(
    own: SweepParts,
    context: TaskContext,
    into: SweepReport,
    tell: (report: SweepReport) => void,
  ): Promise<void> {
    logger.info({ module: 'gc' }, `executing gc of orphaned blobs for ${place(own)}`);
    try {
      await sweep(own, context, into);
      if (into.blobs > 0) logger.info({ module: 'gc', count: into.blobs }, 'garbage collected blobs');
      logger.info({ module: 'gc', ...into }, `gc successfully completed for ${place(own)}`);
      tell(into);
    } catch (error) {
      logger.error({ module: 'gc', error }, `gc unsuccessfully completed for ${place(own)}`);
      throw error;
    }
  }
}

function place(parts: SweepParts): string {
  return parts.store.route === '' ? 'the default store' : parts.store.route;
}

function describe(report: SweepReport): string {
  const { manifests, blobs, freedBytes, uploads } = report;
  return `${manifests} manifests, ${blobs} blobs, ${uploads} uploads removed, ${freedBytes} bytes freed`;
}

/** Makes the next sweep look at everything that is on the store, not only at what was noted. */
export async function noteEverything(parts: SweepParts, signal: AbortSignal): Promise<void> {
  let repos: RepoName[] = [];
  const note = async (): Promise<void> => {
    await parts.index.addCandidates(repos.map((repo) => ({ repo, what: WHOLE_REPOSITORY, sinceMs: 0 })));
    repos = [];
  };
  for await (const repo of parts.storage.repositories(() => undefined)) {
    if (signal.aborted) return;
    if (parts.storage.storeOf(repo) !== parts.store) continue;
    repos.push(repo);
    if (repos.length >= NOTE_AT_ONCE) await note();
  }
  await note();
}
