import { parseTimeWindow } from '#lib/time-window';
import { formatGoDuration } from '#lib/go-duration';
import { parseRepoPrefix } from '#oci/repo-prefix';
import type { Path } from '../problems.ts';
import {
  givenAt,
  globFault,
  listStores,
  regexFault,
  type Rule,
  type RuleContext,
  type StorePlace,
} from './rule-context.ts';
import type { StoreDraft } from '../schema/schema.ts';

/** Checks of `storage`: the folder, garbage collection, retention, cache and object store of every store. */

export const checkRootDirectory: Rule = ({ config, report }) => {
  if (config.storage.rootDirectory !== '') return;
  report.warn(
    ['storage', 'rootDirectory'],
    'rootDirectory is empty: name a folder, or the server will refuse to start',
  );
};

export const checkGc: Rule = (context) => {
  for (const place of listStores(context.config)) {
    if (place.store.gc) checkRunningGc(context, place);
    else warnOfIdleGc(context, place);
    if (place.isGlobal) refuseNegativeGc(context, place);
    checkRetention(context, place);
  }
};

function refuseNegativeGc({ report }: RuleContext, { store, path }: StorePlace): void {
  const { gcDelay, gcInterval } = store;
  if (gcDelay < 0) {
    report.error(
      [...path, 'gcDelay'],
      `invalid garbage-collect delay specified ${formatGoDuration(gcDelay)}`,
    );
  }
  if (gcInterval < 0) {
    report.error(
      [...path, 'gcInterval'],
      `invalid garbage-collect interval specified ${formatGoDuration(gcInterval)}`,
    );
  }
}

function checkRunningGc({ report }: RuleContext, { store, path, isGlobal }: StorePlace): void {
  if (!isGlobal && store.gcDelay <= 0) {
    const delay = formatGoDuration(store.gcDelay);
    const message = `invalid GC delay configuration - cannot be negative or zero: ${delay}`;
    report.error([...path, 'gcDelay'], message);
  }
  if (store.gcTimeWindow !== '' && parseTimeWindow(store.gcTimeWindow) === null) {
    const mend = 'write two different times of day in UTC, as "22:00-06:00"';
    const message = `invalid gcTimeWindow "${store.gcTimeWindow}": ${mend}`;
    report.error([...path, 'gcTimeWindow'], message);
  }
}

function warnOfIdleGc(context: RuleContext, { store, path }: StorePlace): void {
  const isSet = (name: string): boolean => givenAt(context, [...path, name]) !== undefined;
  const names = ['gcDelay', 'gcInterval'].filter(isSet);
  if (store.gcTimeWindow !== '') names.push('gcTimeWindow');
  for (const name of names)
    context.report.warn([...path, name], `garbage-collect is off, so ${name} has no effect`);
}

function checkRetention(context: RuleContext, { store, path }: StorePlace): void {
  const { report } = context;
  for (const [index, policy] of (store.retention?.policies ?? []).entries()) {
    const at = [...path, 'retention', 'policies', index];
    for (const [number, pattern] of policy.repositories.entries()) {
      const fault = globFault(pattern);
      if (fault === null) continue;
      const message = `retention repo glob pattern could not be compiled: ${pattern}: ${fault}`;
      report.error([...at, 'repositories', number], message);
    }
    if (policy.repositories.length === 0) {
      const message = 'repositories is empty: this policy applies to no repository; write ["**"] for all';
      report.warn([...at, 'repositories'], message);
    }
    if (policy.keepUntagged !== undefined && !policy.deleteUntagged) {
      report.warn([...at, 'keepUntagged'], 'keepUntagged has no effect while "deleteUntagged" is false');
    }
    for (const [number, { patterns }] of policy.keepTags.entries()) {
      checkTagPatterns(context, patterns, [...at, 'keepTags', number, 'patterns']);
    }
  }
}

function checkTagPatterns({ report }: RuleContext, patterns: readonly string[], path: Path): void {
  for (const [index, pattern] of patterns.entries()) {
    const fault = regexFault(pattern);
    if (fault === null) continue;
    const message = `retention tag regex could not be compiled: ${pattern}: ${fault}`;
    report.error([...path, index], message);
  }
}

/** Keys of ours: how long changes of tags can be undone, and which tags never change. */
export const checkTags: Rule = (context) => {
  const { report } = context;
  for (const { store, path } of listStores(context.config)) {
    if (store.undo !== undefined && store.undo < 0) {
      const message = `undo cannot be negative: ${formatGoDuration(store.undo)}`;
      report.error([...path, 'undo'], message);
    }
    for (const [index, rule] of store.immutableTags.entries()) {
      const at = [...path, 'immutableTags', index];
      checkImmutableTags(context, rule, at);
    }
  }
};

function checkImmutableTags(
  { report }: RuleContext,
  rule: StoreDraft['immutableTags'][number],
  at: Path,
): void {
  for (const [number, pattern] of rule.repositories.entries()) {
    const fault = globFault(pattern);
    if (fault === null) continue;
    report.error([...at, 'repositories', number], `the glob ${pattern} cannot be used: ${fault}`);
  }
  if (rule.repositories.length === 0) {
    const message = 'repositories is empty: no tag is immutable by this; write ["**"] for all repositories';
    report.warn([...at, 'repositories'], message);
  }
  for (const name of ['tags', 'exclude'] as const) {
    for (const [number, expression] of rule[name].entries()) {
      const fault = regexFault(expression);
      if (fault === null) continue;
      report.error([...at, name, number], `the expression ${expression} cannot be used: ${fault}`);
    }
  }
}

export const checkCache: Rule = (context) => {
  for (const place of listStores(context.config)) checkStoreCache(context, place);
};

/** In zot a sub-path may use dynamodb only; here whatever the global store may use. */
function checkStoreCache({ report }: RuleContext, { store, path }: StorePlace): void {
  const { cacheDriver, remoteCache, dedupe, storageDriver } = store;
  if (dedupe && storageDriver !== undefined && remoteCache && cacheDriver === undefined) {
    const message =
      'invalid database config, dedupe set to true with remote storage and database, but no remote database configured';
    report.error(
      [...path, 'cacheDriver'],
      `${message}; add a "cacheDriver", or set "remoteCache" or "dedupe" to false`,
    );
  }
  if (cacheDriver === undefined) return;
  if (cacheDriver.name === 'cache') {
    if (!remoteCache) return;
    const message = 'invalid database config, unsupported database driver: "cache" is the local one';
    report.error([...path, 'cacheDriver', 'name'], `${message}; write "redis" or "dynamodb"`);
  } else if (!remoteCache) {
    report.warn(
      [...path, 'cacheDriver'],
      'cacheDriver has no effect while "remoteCache" is false: the cache is local',
    );
  } else if (storageDriver === undefined && cacheDriver.name !== 'redis') {
    const message = 'invalid database config, cannot have local storage driver with remote database!';
    report.error(
      [...path, 'cacheDriver'],
      `${message} A local folder goes with "redis", or with "remoteCache": false`,
    );
  }
}

export const checkRemoteStorage: Rule = ({ config, report }) => {
  for (const { store, path } of listStores(config)) {
    if (store.redirectBlobURL && store.storageDriver === undefined) {
      const message = 'invalid storage config, redirectBlobURL is supported only for s3/gcs/azure storage';
      report.error([...path, 'redirectBlobURL'], message);
    }
    for (const [name, message] of driverFaults(store)) report.error([...path, ...name.split('.')], message);
  }
};

const partBytesMin = 5 * 1_048_576;

/** Parameters without which the driver would refuse to start. */
function driverFaults({ storageDriver, cacheDriver }: StoreDraft): [place: string, message: string][] {
  const faults: [string, string][] = [];
  const require = (place: string, value: string): void => {
    if (value === '') faults.push([place, `"${place.split('.').at(-1)}" is required`]);
  };
  if (cacheDriver?.name === 'dynamodb') require('cacheDriver.cacheTablename', cacheDriver.cacheTablename);
  if (storageDriver?.name === 's3') {
    require('storageDriver.bucket', storageDriver.bucket);
    require('storageDriver.region', storageDriver.region + storageDriver.regionendpoint);
    if (storageDriver.chunksize < partBytesMin) {
      faults.push([
        'storageDriver.chunksize',
        `chunksize ${storageDriver.chunksize} is less than 5 MiB (${partBytesMin})`,
      ]);
    }
  } else if (storageDriver?.name === 'gcs') require('storageDriver.bucket', storageDriver.bucket);
  else if (storageDriver?.name === 'azure') {
    require('storageDriver.container', storageDriver.container);
    require('storageDriver.accountname', storageDriver.accountname + (storageDriver.connectionstring ?? ''));
  }
  return faults;
}

const routeShape = /^\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

export const checkRoutes: Rule = ({ config, report }) => {
  for (const route of Object.keys(config.storage.subPaths)) {
    if (routeShape.test(route.toLowerCase())) continue;
    const shape = 'a slash and one first segment of names, such as "/team"';
    const message = `no repository goes to "${route}": a route is ${shape}`;
    report.warn(['storage', 'subPaths', route], message);
  }
};

const quotasMax = 1000;

export const checkQuotas: Rule = ({ config, report }) => {
  const { quotas } = config.storage;
  if (quotas.length > quotasMax)
    report.error(
      ['storage', 'quotas'],
      `there are ${quotas.length} quotas; at most ${quotasMax} are counted`,
    );
  const seen = new Map<string, number>();
  for (const [at, { prefix: text, maxBytes }] of quotas.entries()) {
    const path = ['storage', 'quotas', at, 'prefix'];
    const prefix = parseRepoPrefix(text);
    if (prefix === null)
      report.error(
        path,
        `no repository begins with "${text}": write whole components, such as "team" or "team/app"`,
      );
    const same = prefix === null ? undefined : seen.get(prefix);
    if (same !== undefined) report.error(path, `"${text}" has a quota already, in entry ${same}`);
    if (prefix !== null) seen.set(prefix, at);
    if (maxBytes < 0) report.error(['storage', 'quotas', at, 'maxBytes'], 'a quota cannot be negative');
  }
};
