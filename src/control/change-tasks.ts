import { isDeepStrictEqual } from 'node:util';
import type { Config, StoreConfig } from '#config';
import { gcJob, gcJobName } from '#tasks';
import type { ControlHost } from './contract.ts';
import { gcParts, settingsOf } from './gc-commands.ts';

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
}

function scheduleOf({ gc, gcDelay, gcInterval, gcTimeWindow, retention }: StoreConfig): unknown {
  return { gc, gcDelay, gcInterval, gcTimeWindow, retention };
}
