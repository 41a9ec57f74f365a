/** The keeper's side: configuration -> every part built, wired, started and stopped in order. */
import { NO_AUDIT } from '#lib/audit-log';
import type { AuditLog } from '#lib/audit-log';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { prepareAll } from '#lib/prepared';
import type { Prepared } from '#lib/prepared';
import { StartError } from '#lib/start-error';
import { DiskReserve, lockFolder } from '#metadata';
import type { IndexWriter, Records } from '#metadata';
import { LocalKeeper } from '#registry';
import { Scheduler } from '#tasks';
import type { Storage, StorageDriver } from '#storage';
import { backgroundJobs, changeTasks, controlCommands, probeSharing } from '#control';
import type { ControlCommands, ControlHost } from '#control';
import { tagRules } from './tag-rules.ts';
import { ExtensionJobs } from './extension-jobs.ts';
import { openDatabases, openStorage, ownFolder, resumeMoves, walk } from './folder.ts';
import { countQuotas, quotasOf } from './quotas.ts';

/** Background tasks at once, where the configuration leaves it open; each keeps to its share of the time. */
const DEFAULT_TASK_WORKERS = 2;

/** The keeper's side: the one writer of a storage folder. */
export interface KeeperSide {
  readonly keeper: LocalKeeper;
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
  /** Background work; empty until `startTasks`. */
  readonly scheduler: Scheduler;
  /** Commands of the command line, with what they work on. */
  readonly commands: ControlCommands;
  readonly host: ControlHost;
  /** Background work of extensions. */
  readonly extensionJobs: ExtensionJobs;
  /** The folder of our own databases. */
  readonly ownFolder: string;
  /** Settles when the whole storage has been looked at. */
  readonly walked: Promise<void>;
  /** Makes a changed configuration ready to be in force here. */
  prepare(config: Config): Promise<Prepared>;
  close(): Promise<void>;
}

export interface KeeperOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Absent: nothing is audited. */
  readonly audit?: AuditLog;
  /** Instead of the default store of the configuration. */
  readonly driver?: StorageDriver;
  /** False when a command works on a folder that nobody serves. */
  readonly serving?: boolean;
}

/**
 * Locks the root folder, opens its databases and looks at the storage: to the end before it returns when the index
 * is new, beside the requests otherwise. Throws `StartError`.
 */
export async function openKeeperSide(options: KeeperOptions): Promise<KeeperSide> {
  const { config, logger } = options;
  const folder = ownFolder(config);
  const lock = lockFolder(folder);
  if (typeof lock === 'string')
    throw new StartError(`the folder ${config.storage.rootDirectory} is in use: ${lock}`);
  const storage = openStorage(config, options.driver);
  const reserve = new DiskReserve(folder);
  const { index, records, rebuilt } = await reserve.with(() => openDatabases(folder, logger));
  const report = (repo: string, digest: string | null, problem: string): void =>
    logger.warn({ component: 'storage', repository: repo, ...(digest === null ? {} : { digest }) }, problem);
  const keeper = new LocalKeeper({
    storage,
    index,
    records,
    report,
    reserve,
    maxRepos: config.storage.maxRepos,
  });
  await keeper.damage.join();
  keeper.tags.use(tagRules(config, storage));
  await resumeMoves(keeper, logger);
  const stopping = new AbortController();
  const serving = options.serving ?? true;
  const counting = await keeper.quotas.open(
    serving || config.storage.quotas.length > 0 ? quotasOf(config) : null,
  );
  const isNew = rebuilt || (await index.listKnownRepositories({ after: '', limit: 1 })).length === 0;
  const walked = walk({ storage, index, keeper, logger, signal: stopping.signal, isNew });
  if (isNew) await walked;
  await countQuotas(keeper, counting, logger);
  if (isNew) await keeper.tags.hideHeld(stopping.signal);
  const scheduler = new Scheduler({ workers: config.scheduler.numWorkers || DEFAULT_TASK_WORKERS, logger });
  const { audit = NO_AUDIT } = options;
  const parts = { keeper, storage, index, records, scheduler, walked };
  const undoes = keeper.tags.rules.shortestUndoMs !== null || (await keeper.tags.holdsAny());
  const host: ControlHost = { ...parts, config, logger, audit, undoes, serving };
  await probeSharing(host);
  const extensionJobs = new ExtensionJobs(host);
  return {
    ...parts,
    commands: controlCommands(),
    host,
    extensionJobs,
    ownFolder: folder,
    prepare: (changed) =>
      prepareAll([
        () => keeper.quotas.prepare(quotasOf(changed)),
        async () => ({ commit: () => change(host, changed, extensionJobs), discard: async () => undefined }),
      ]),
    close: async () => {
      stopping.abort();
      await scheduler.close();
      await walked;
      await keeper.close();
      await Promise.all([index.close(), records.close(), storage.close()]);
      lock.release();
    },
  };
}

/** Puts a changed configuration in force for tags and background work. */
async function change(host: ControlHost, changed: Config, extensionJobs: ExtensionJobs): Promise<void> {
  const before = host.config;
  host.keeper.tags.use(tagRules(changed, host.storage));
  await changeTasks(host, changed);
  await extensionJobs.change(before);
}

/** Starts the background work of a folder that is served. */
export function startTasks(side: KeeperSide): void {
  const { host } = side;
  for (const job of backgroundJobs(host)) side.scheduler.add(job);
  side.extensionJobs.start();
}
