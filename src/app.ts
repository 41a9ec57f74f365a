/** The composition root: configuration -> every part built, wired, started and stopped in order. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SignInMemory, joinAccounts, openAccess } from '#access';
import type { AccessParts, Accounts, AccountsReader } from '#access';
import type { Config } from '#config';
import { NO_AUDIT } from '#lib/audit-log';
import type { AuditLog } from '#lib/audit-log';
import { buildInfo } from '#lib/build-info';
import type { Logger } from '#lib/logger';
import type { Prepared } from '#lib/prepared';
import { StartError } from '#lib/start-error';
import {
  DiskReserve,
  heldByZot,
  lockFolder,
  openAccountsForReading,
  openIndexForReading,
  openIndexForWriting,
  openRecords,
  removeIndexFiles,
} from '#metadata';
import type { IndexReader, IndexWriter, Records, ReopeningIndex } from '#metadata';
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '#oci/media-types';
import { LocalKeeper, Registry, noHooks, walkStorage } from '#registry';
import type { Keeper } from '#registry';
import { Scheduler, gcJob } from '#tasks';
import { LocalDriver, OWN_FOLDER, Storage } from '#storage';
import type { StorageDriver, Store } from '#storage';
import { Generations, RateLimiter, SESSION_ROUTES, TlsFiles, TrustedProxies, buildServer } from '#http';
import type { Generation, HttpServer, Services } from '#http';
import { ControlCommands, addGcCommands, addTaskCommands, changeTasks, gcParts } from '#control';
import type { ControlHost } from '#control';
import { extensions } from '#extensions';
import type { ExtensionHost } from '#extension';

/** Background tasks at once, where the configuration leaves it open; each keeps to its share of the time. */
const DEFAULT_TASK_WORKERS = 2;

const LACKS_LINKS = 'dedupe is switched off: the file system of this store has no hard links';

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
  const keeper = new LocalKeeper({ storage, index, records, report, reserve });
  await keeper.probeSharing(({ route }) => report(route, null, LACKS_LINKS));
  const stopping = new AbortController();
  const walked = walk({ storage, index, keeper, logger, signal: stopping.signal });
  if (rebuilt || (await index.listKnownRepositories({ after: '', limit: 1 })).length === 0) await walked;
  const scheduler = new Scheduler({ workers: config.scheduler.numWorkers || DEFAULT_TASK_WORKERS, logger });
  const serving = options.serving ?? true;
  const { audit = NO_AUDIT } = options;
  const host: ControlHost = { config, logger, audit, keeper, storage, index, records, scheduler, serving };
  return {
    keeper,
    storage,
    index,
    records,
    scheduler,
    commands: controlCommands(),
    host,
    ownFolder: folder,
    walked,
    prepare: async (changed) => ({
      commit: () => changeTasks(host, changed),
      discard: async () => undefined,
    }),
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

/** Every command of the command line that works on a storage folder. */
function controlCommands(): ControlCommands {
  const commands = new ControlCommands();
  addTaskCommands(commands);
  addGcCommands(commands);
  return commands;
}

/** Starts the background work of a folder that is served. */
export function startTasks(side: KeeperSide): void {
  const { host } = side;
  for (const parts of gcParts(host)) if (parts.settings.enabled) side.scheduler.add(gcJob(parts));
}

function ownFolder(config: Config): string {
  const root = config.storage.rootDirectory;
  if (root === '')
    throw new StartError('storage.rootDirectory is not set: name the folder that holds the repositories');
  const folder = join(resolve(root), OWN_FOLDER);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (heldByZot(realpathSync(root)))
      throw new StartError(`the folder ${root} is in use: a running zot serves it`);
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`the folder ${root} cannot be used: ${messageOf(error)}`, { cause: error });
  }
  return folder;
}

/** Removes the index, so that it is built again from the storage. */
export function removeIndex(config: Config): void {
  const folder = ownFolder(config);
  const lock = lockFolder(folder);
  if (typeof lock === 'string')
    throw new StartError(`the folder ${config.storage.rootDirectory} is in use: ${lock}`);
  removeIndexFiles(folder);
  lock.release();
}

function openDatabases(
  folder: string,
  logger: Logger,
): { index: IndexWriter; records: Records; rebuilt: boolean } {
  let rebuilt = false;
  const index = openIndexForWriting(folder, (reason) => {
    rebuilt = true;
    logger.warn(
      { component: 'metadata', reason },
      'the index cannot be used and is built again from the storage',
    );
  });
  try {
    return { index, records: openRecords(folder), rebuilt };
  } catch (error) {
    throw new StartError(`${join(folder, 'records.db')} cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function walk(parts: {
  storage: Storage;
  index: IndexWriter;
  keeper: LocalKeeper;
  logger: Logger;
  signal: AbortSignal;
}): Promise<void> {
  const { logger, keeper } = parts;
  const startedMs = performance.now();
  try {
    const repositories = await walkStorage({
      ...parts,
      report: (path, error) =>
        logger.warn({ component: 'storage', path, error }, 'a folder could not be looked at'),
      progress: (count) =>
        logger.info({ component: 'storage', repositories: count }, 'looking at the storage'),
    });
    keeper.markWalked();
    const elapsedMs = Math.round(performance.now() - startedMs);
    logger.info({ component: 'storage', repositories, elapsedMs }, 'the storage has been looked at');
  } catch (error) {
    logger.error({ component: 'storage', error }, 'the look at the storage failed');
  }
}

/** The stores of the configuration: the default one and its sub-paths. */
export function openStorage(config: Config, driver?: StorageDriver): Storage {
  const { storage } = config;
  const fallback: Store = {
    route: '',
    driver: driver ?? new LocalDriver(storage.rootDirectory),
    durable: storage.commit,
    dedupe: storage.dedupe,
  };
  const subPaths = Object.entries(storage.subPaths).map(([route, store]) => {
    mkdirSync(store.rootDirectory, { recursive: true, mode: 0o700 });
    const { commit: durable, dedupe } = store;
    return { route, driver: new LocalDriver(store.rootDirectory), durable, dedupe };
  });
  return new Storage([fallback, ...subPaths]);
}

/** A serving side: answers requests, asks the keeper for every change. */
export interface ServingSide {
  readonly server: HttpServer;
  readonly registry: Registry;
  /** Makes `/readyz` say no, so that balancers send nobody here any more. */
  announceStop(): void;
  /** Opens what a changed configuration asks for; throws `StartError` when that cannot be had. */
  prepare(config: Config): Promise<Prepared>;
  close(): Promise<void>;
}

export interface ServingOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Absent: nothing is audited. */
  readonly audit?: AuditLog;
  readonly keeper: Keeper;
  readonly storage: Storage;
  readonly index: IndexReader;
  /** Where accounts are looked up; absent: the keeper is asked each time. */
  readonly accounts?: AccountsReader;
}

/** Opens the index for a serving process that is not the keeper. */
export function openServingIndex(config: Config): ReopeningIndex {
  return openIndexForReading(join(resolve(config.storage.rootDirectory), OWN_FOLDER));
}

/** Opens the accounts for a serving process that is not the keeper. */
export function openServingAccounts(config: Config): ReturnType<typeof openAccountsForReading> {
  return openAccountsForReading(join(resolve(config.storage.rootDirectory), OWN_FOLDER));
}

/** Throws `StartError` when the access that the configuration asks for cannot be had. */
export async function openServingSide(options: ServingOptions): Promise<ServingSide> {
  const { config, logger, keeper, storage, index } = options;
  const { minFreeSpace, readOnly } = config.storage;
  const hooks = noHooks();
  const accounts = joinAccounts(options.accounts ?? keeper.users, keeper.users);
  const open = generationOpener(options, accounts);
  const generations = new Generations(await open(config), open, (error) =>
    logger.error({ error }, 'what an earlier configuration had opened could not be closed'),
  );
  const uploadKey = await sharedKey(accounts, 'upload-owners');
  const registry = new Registry({
    storage,
    index,
    keeper,
    hooks,
    readOnly,
    uploadKey,
    spaceLimit:
      minFreeSpace.unit === 'bytes'
        ? { bytes: minFreeSpace.amount, share: 0 }
        : { bytes: 0, share: minFreeSpace.amount / 100 },
    report: (problem, error) => logger.error({ error }, problem),
  });
  const tls = openTls(config, logger);
  const host = startExtensions(config, hooks);
  let stopping = false;
  const services = servicesOf(config, generations, {
    registry,
    logger,
    extensions: host.discovered,
    isStopping: () => stopping,
  });
  const { allowOrigin } = config.http;
  const server = buildServer({
    services,
    logger,
    audit: options.audit ?? NO_AUDIT,
    allowOrigin,
    tls,
    idleMs: services.idleMs,
    routes: [...host.routes, ...SESSION_ROUTES],
  });
  return {
    server,
    registry,
    announceStop: () => (stopping = true),
    prepare: (changed) => generations.prepare(changed),
    close: async () => {
      tls?.close();
      await registry.close();
      await generations.close();
    },
  };
}

/** What handlers have at hand: of the generation that is in force when they ask. */
function servicesOf(
  config: Config,
  generations: Generations,
  lasting: Pick<Services, 'registry' | 'logger' | 'extensions' | 'isStopping'>,
): Services {
  return {
    ...lasting,
    get access() {
      return generations.current.access;
    },
    get config() {
      return generations.current.config;
    },
    get proxies() {
      return generations.current.proxies;
    },
    get limits() {
      return generations.current.limits;
    },
    manifestSizeBytesMax: config.http.maxManifestSize,
    acceptedTypes: acceptedTypes(config),
    idleMs: idleMs(config),
    realm: config.http.realm,
  };
}

/** Opens what one configuration asks for beside what lasts as long as the process. */
function generationOpener(
  { keeper, logger, audit: auditLog = NO_AUDIT }: ServingOptions,
  accounts: Accounts,
): (config: Config) => Promise<Generation> {
  const audit: AccessParts['audit'] = (event) => auditLog.event(event);
  const parts = { accounts, attempts: keeper.users, logger, audit };
  const memory = new SignInMemory();
  return async (config) => ({
    config,
    access: await openAccess(config, parts, memory),
    proxies: new TrustedProxies(config.http.trustedProxies),
    limits: RateLimiter.isConfigured(config) ? new RateLimiter(config, keeper.users) : null,
  });
}

/** A secret that all processes share, made by the first that asks. */
async function sharedKey(accounts: Accounts, name: string): Promise<Buffer> {
  const kept = await accounts.findSharedKey(name);
  return kept ?? accounts.keepSharedKey(name, randomBytes(32));
}

function startExtensions(config: Config, hooks: ReturnType<typeof noHooks>): ExtensionHost {
  const host: ExtensionHost = { config, hooks, buildInfo, routes: [], discovered: [] };
  for (const extension of extensions) extension.start(host);
  return host;
}

function openTls(config: Config, logger: Logger): TlsFiles | null {
  const { tls } = config.http;
  if (tls === undefined || tls.cert === '' || tls.key === '') return null;
  try {
    const requiresClients = tls.clientAuth === 'require';
    return new TlsFiles({ cert: tls.cert, key: tls.key, ca: tls.cacert, requiresClients }, (problem) =>
      logger.error(
        { component: 'tls', problem },
        'the changed certificate cannot be used, the old one stays in force',
      ),
    );
  } catch (error) {
    throw new StartError(`the certificate cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function acceptedTypes(config: Config): ReadonlySet<string> {
  const docker = config.http.compat.includes('docker2s2') ? [DOCKER_MANIFEST, DOCKER_LIST] : [];
  return new Set([OCI_MANIFEST, OCI_INDEX, ...docker]);
}

/** The shortest of the time limits that are set; all of them mean time without progress. */
function idleMs(config: Config): number {
  const { idleTimeout, readTimeout, writeTimeout } = config.http;
  const set = [idleTimeout, readTimeout, writeTimeout].filter((limitMs) => limitMs > 0);
  return set.length === 0 ? 0 : Math.min(...set);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
