import { isDeepStrictEqual } from 'node:util';
import type { Config, StoreConfig } from '#config';
import { gcJob, gcJobName, undoJob } from '#tasks';
import type { Job } from '#tasks';
import type { ControlHost } from './contract.ts';
import { changeDedupe, dedupeJobs } from './dedupe-tasks.ts';
import { gcParts, settingsOf, undoParts } from './gc-commands.ts';

/** The background work of a folder that is served, as its configuration asks for it. */
export function backgroundJobs(host: ControlHost): Job[] {
  const collecting = gcParts(host).filter(({ settings }) => settings.enabled);
  return [...collecting.map((parts) => gcJob(parts)), ...dedupeJobs(host), ...undoJobs(host)];
}

/**
 * Puts a changed configuration in force for background work: stores whose keys of collection changed get their job
 * anew, and with it a sweep that is due at once; the jobs of other stores go on as they are.
 */
export async function changeTasks(host: ControlHost, config: Config): Promise<void> {
  const before = host.config;
  host.config = config;
  for (const parts of gcParts(host)) {
    const { route } = parts.store;
    if (isDeepStrictEqual(scheduleOf(settingsOf(before, route)), scheduleOf(settingsOf(config, route))))
      continue;
    if (parts.settings.enabled) await host.scheduler.replace(gcJob(parts));
    else await host.scheduler.remove(gcJobName(route));
  }
  await changeDedupe(host, config);
  if (!isDeepStrictEqual(undoOf(before), undoOf(config)))
    await host.scheduler.replace(undoJob(undoParts(host)));
}

/** Ends what can no longer be undone; none where nothing can be, and nothing is held from before. */
function undoJobs(host: ControlHost): Job[] {
  return host.undoes ? [undoJob(undoParts(host))] : [];
}

function undoOf({ storage }: Config): unknown {
  return [storage.undo, Object.entries(storage.subPaths).map(([route, { undo }]) => [route, undo])];
}

function scheduleOf({ gc, gcDelay, gcInterval, gcTimeWindow, retention }: StoreConfig): unknown {
  return { gc, gcDelay, gcInterval, gcTimeWindow, retention };
}
