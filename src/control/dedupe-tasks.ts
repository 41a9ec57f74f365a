import type { Config } from '#config';
import { spaceLimitOf } from '#registry';
import { dedupeJob, dedupeJobName } from '#tasks';
import type { Job, PassParts } from '#tasks';
import type { Store } from '#storage';
import type { ControlHost } from './contract.ts';
import { settingsOf } from './gc-commands.ts';

const LACKS_LINKS = 'dedupe is switched off: the file system of this store has no hard links';

/** Learns which stores can share blobs, and warns of those that should and cannot. */
export function probeSharing({ keeper, logger }: ControlHost): Promise<void> {
  return keeper.probeSharing(({ route }) =>
    logger.warn({ component: 'storage', repository: route }, LACKS_LINKS),
  );
}

/** A pass over each store that could share blobs: over all of them after a start, to change what was changed. */
export function dedupeJobs(host: ControlHost): Job[] {
  return host.storage.stores
    .filter((store) => isOpenTo(host, store))
    .map((store) => dedupeJob(partsOf(host, store)));
}

/** Puts changed settings in force: pushes share or do not from now on, and what is stored follows. */
export async function changeDedupe(host: ControlHost, config: Config): Promise<void> {
  const changed = host.storage.stores.filter(
    (store) => store.dedupe !== settingsOf(config, store.route).dedupe,
  );
  for (const store of changed) store.dedupe = settingsOf(config, store.route).dedupe;
  if (changed.length > 0) await probeSharing(host);
  for (const store of changed) {
    if (isOpenTo(host, store)) await host.scheduler.replace(dedupeJob(partsOf(host, store)));
    else await host.scheduler.remove(dedupeJobName(store.route));
  }
}

/** Where links cannot be had, nothing was ever linked either. */
function isOpenTo({ config, keeper }: ControlHost, store: Store): boolean {
  if (config.storage.readOnly || !store.driver.flags.hardLinks) return false;
  return store.dedupe !== true || keeper.dedupe.shares(store);
}

function partsOf({ config, storage, index, keeper, logger, walked }: ControlHost, store: Store): PassParts {
  const spaceLimit = spaceLimitOf(config.storage.minFreeSpace);
  return { storage, index, keeper, logger, store, ready: walked, spaceLimit };
}
