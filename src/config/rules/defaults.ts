import { hours, seconds } from '../schema/key.ts';
import { givenAt, listStores, type Rule, type RuleContext, type StorePlace } from './rule-context.ts';
import { distSpecVersion, type StoreDraft } from '../schema/schema.ts';

/**
 * The defaults that depend on other keys, and the values that are set right with a warning. What the user
 * gave counts as set, also when it is zero.
 */

export const completeVersion: Rule = ({ config, report }) => {
  if (config.distSpecVersion === distSpecVersion) return;
  const message = 'config dist-spec version differs from version actually used';
  report.warn(['distSpecVersion'], `${message}, which is ${distSpecVersion}`);
  config.distSpecVersion = distSpecVersion;
};

export const completeStores: Rule = (context) => {
  const { subPaths } = context.config.storage;
  for (const place of listStores(context.config)) {
    const route = place.path.at(-1);
    const inherits = !place.isGlobal && subPaths[String(route)]?.inherit === true;
    if (inherits) inherit(context, place);
    completeGc(context, place);
    if (place.store.storageDriver !== undefined) completeRemoteStorage(context, place, inherits);
  }
};

/** What a sub-path may take from the global store; folders and drivers are its own. */
const inherited = [
  'dedupe',
  'gc',
  'gcDelay',
  'gcInterval',
  'gcTimeWindow',
  'gcMaxSchedulerDelay',
  'retention',
  'undo',
  'immutableTags',
  'remoteCache',
  'cacheDriver',
  'redirectBlobURL',
  'commit',
] as const satisfies readonly (keyof StoreDraft)[];

function inherit(context: RuleContext, { store, path }: StorePlace): void {
  const global = context.config.storage;
  for (const name of inherited) {
    const isGiven = givenAt(context, [...path, name]) !== undefined;
    if (!isGiven && global[name] !== undefined)
      Object.assign(store, { [name]: structuredClone(global[name]) });
  }
}

function completeGc(context: RuleContext, { store, path }: StorePlace): void {
  const isGiven = (...steps: string[]): boolean => givenAt(context, [...path, ...steps]) !== undefined;
  if (!store.gc && !isGiven('gcDelay')) store.gcDelay = 0;
  if (!store.gc && !isGiven('gcInterval')) store.gcInterval = 0;
  if (store.gcMaxSchedulerDelay <= 0) store.gcMaxSchedulerDelay = seconds(30);
  if (store.retention !== undefined && !isGiven('retention', 'delay')) store.retention.delay = store.gcDelay;
}

function completeRemoteStorage(context: RuleContext, place: StorePlace, inherits: boolean): void {
  const { store, path } = place;
  const isCacheGiven = givenAt(context, [...path, 'remoteCache']) !== undefined;
  if (store.dedupe && !isCacheGiven && !inherits) store.remoteCache = true;
  const { storageDriver: driver } = store;
  if (driver?.name === 's3') completePathStyle(context, place, driver);
  else if (driver?.rootdirectory === '' || driver?.rootdirectory === '/') driver.rootdirectory = '/zot';
}

type S3Driver = Extract<StoreDraft['storageDriver'], { name: 's3' }>;

function completePathStyle(context: RuleContext, { path, isGlobal }: StorePlace, driver: S3Driver): void {
  const isGiven = givenAt(context, [...path, 'storageDriver', 'forcepathstyle']) !== undefined;
  if (!isGlobal || driver.regionendpoint === '' || isGiven) return;
  driver.forcepathstyle = true;
  const message = 'deprecated: automatically setting forcepathstyle to true for s3 storage driver.';
  context.report.warn([...path, 'storageDriver'], `${message} Write "forcepathstyle": true`);
}

export const completeHttp: Rule = ({ config }) => {
  const { http } = config;
  // Zero says "no limit" everywhere else.
  http.readTimeout = Math.max(0, http.readTimeout);
  http.writeTimeout = Math.max(0, http.writeTimeout);
  if (http.auth.openid !== undefined) http.auth.apikey = true;
};

const intervalMsMin = hours(2);

export const completeScanning: Rule = ({ config, report }) => {
  const { search } = config.extensions;
  if (search?.enable !== true || search.cve === undefined || search.cve.updateInterval >= intervalMsMin)
    return;
  const path = ['extensions', 'search', 'cve', 'updateInterval'];
  report.warn(path, 'cve update interval set to too-short interval < 2h, it is now 2h');
  search.cve.updateInterval = intervalMsMin;
};

export const completeScrub: Rule = ({ config, report }) => {
  const { scrub } = config.extensions;
  if (scrub?.interval === 0) scrub.interval = hours(24);
  if (scrub === undefined || scrub.interval >= intervalMsMin) return;
  const path = ['extensions', 'scrub', 'interval'];
  report.warn(path, 'scrub interval set to too-short interval < 2h, it is now 2h');
  scrub.interval = intervalMsMin;
};

export const completeSinks: Rule = ({ config }) => {
  for (const sink of config.extensions.events?.sinks ?? [])
    if (sink.timeout === 0) sink.timeout = seconds(30);
};

export const completeSync: Rule = (context) => {
  const registries = context.config.extensions.sync?.registries ?? [];
  for (const [index, registry] of registries.entries()) {
    const path = ['extensions', 'sync', 'registries', index];
    if (registry.syncTimeout === 0) registry.syncTimeout = hours(3);
    if (registry.responseHeaderTimeout === 0) registry.responseHeaderTimeout = seconds(30);
    if (registry.retryDelay !== undefined) registry.maxRetryDelay ??= registry.retryDelay;
    const isGiven = givenAt(context, [...path, 'maxIdleConnsPerHost']) !== undefined;
    if (registry.disableHTTP2 && !isGiven) registry.maxIdleConnsPerHost = registry.reqConcurrent;
  }
};

/**
 * zot reads all keys in lower case. Names of repositories are in lower case, too, so a route that is not
 * would never be reached; and providers are known by their lower-case names.
 */
export const lowerNames: Rule = ({ config, report }) => {
  const { storage, http } = config;
  storage.subPaths = lowerKeys(storage.subPaths, (route) => {
    report.warn(
      ['storage', 'subPaths', route],
      `names of repositories are in lower case: the route is ${route.toLowerCase()}`,
    );
  });
  const { openid } = http.auth;
  if (openid !== undefined) openid.providers = lowerKeys(openid.providers, () => undefined);
};

function lowerKeys<T>(map: Record<string, T>, changed: (key: string) => void): Record<string, T> {
  const entries = Object.entries(map).map(([key, value]): [string, T] => {
    if (key !== key.toLowerCase()) changed(key);
    return [key.toLowerCase(), value];
  });
  return Object.fromEntries(entries);
}
