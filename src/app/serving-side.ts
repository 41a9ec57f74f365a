/** A serving side: what answers requests, wired from the configuration. */
import { randomBytes } from 'node:crypto';
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
import { openAccountsForReading, openIndexForReading } from '#metadata';
import type { IndexReader, ReopeningIndex } from '#metadata';
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '#oci/media-types';
import { Registry, noHooks, spaceLimitOf } from '#registry';
import type { Keeper } from '#registry';
import { OWN_FOLDER } from '#storage';
import type { Storage } from '#storage';
import { Generations, RateLimiter, SESSION_ROUTES, TlsFiles, TrustedProxies, buildServer } from '#http';
import type { Generation, HttpServer, Services } from '#http';
import { extensions } from '#extensions';
import { isUnderQuota } from './quotas.ts';
import type { ExtensionHost } from '#extension';

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
  const { readOnly } = config.storage;
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
    isUnderQuota: (repo) => isUnderQuota(generations.current.config, repo),
    uploadKey,
    spaceLimit: spaceLimitOf(config.storage.minFreeSpace),
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
