import { globFault, listStores, regexFault, type Rule, type RuleContext } from './rule-context.ts';
import { checkCredentialHelper } from './oauth2.ts';
import type { Path } from '../problems.ts';
import type { ConfigDraft } from '../schema/schema.ts';

/** Checks of `extensions.sync`; they hold also while it is disabled. */

type SyncRegistry = NonNullable<ConfigDraft['extensions']['sync']>['registries'][number];
type SyncContent = SyncRegistry['content'][number];

const path = ['extensions', 'sync'];

export const checkSync: Rule = (context) => {
  const { sync } = context.config.extensions;
  for (const [index, registry] of (sync?.registries ?? []).entries()) {
    const at = [...path, 'registries', index];
    checkPace(context, registry, at);
    checkLimits(context, registry, at);
    checkUse(context, registry, at);
    checkCredentialHelper(context, registry, at);
    if (registry.preserveDigest && context.config.http.compat.length === 0) {
      const message = 'can not use PreserveDigest option without enabling http.Compat';
      context.report.error([...at, 'preserveDigest'], `${message}; add "docker2s2" to "http.compat"`);
    }
    for (const [number, content] of registry.content.entries()) {
      checkContent(context, content, [...at, 'content', number]);
    }
  }
};

function checkPace({ report }: RuleContext, registry: SyncRegistry, at: Path): void {
  const { manifestCheckInterval: interval, retryDelay, maxRetryDelay } = registry;
  if (interval < 0)
    report.error([...at, 'manifestCheckInterval'], 'manifestCheckInterval cannot be negative');
  if (interval > 0 && !registry.onDemand) {
    const message = 'manifestCheckInterval requires onDemand to be enabled';
    report.error([...at, 'manifestCheckInterval'], message);
  }
  const hasDelay = retryDelay !== undefined;
  if (registry.maxRetries !== undefined && !hasDelay) {
    report.error([...at, 'maxRetries'], 'retryDelay is required when using maxRetries');
  }
  if (maxRetryDelay === undefined) return;
  if (!hasDelay) report.error([...at, 'maxRetryDelay'], 'retryDelay is required when using maxRetryDelay');
  else if (maxRetryDelay < retryDelay) {
    report.error([...at, 'maxRetryDelay'], 'maxRetryDelay must be greater than or equal to retryDelay');
  }
}

function checkLimits({ report }: RuleContext, registry: SyncRegistry, at: Path): void {
  for (const name of ['reqConcurrent', 'maxIdleConnsPerHost'] as const) {
    if (registry[name] <= 0) report.error([...at, name], `${name} must be greater than 0`);
  }
  if (registry.reqPerSec !== undefined && registry.reqPerSec <= 0) {
    report.error([...at, 'reqPerSec'], 'reqPerSec must be a finite value greater than 0');
  }
}

/** Entries that zot accepts and then never uses. */
function checkUse({ report }: RuleContext, registry: SyncRegistry, at: Path): void {
  if (registry.urls.every((url) => url.trim() === ''))
    report.warn([...at, 'urls'], 'urls is empty: nothing can be copied');
  const isPolled = registry.pollInterval > 0;
  if (!registry.onDemand && !isPolled) {
    report.warn(at, 'sync registry has neither "onDemand" nor "pollInterval": nothing is ever copied');
  } else if (isPolled && registry.content.length === 0) {
    report.warn([...at, 'pollInterval'], 'pollInterval has no effect without "content"');
  }
}

function checkContent({ report }: RuleContext, content: SyncContent, at: Path): void {
  const prefixFault = globFault(content.prefix);
  if (prefixFault !== null) {
    const message = `sync prefix could not be compiled: ${content.prefix}: ${prefixFault}`;
    report.error([...at, 'prefix'], message);
  }
  for (const name of ['regex', 'excludeRegex'] as const) {
    const expression = content.tags?.[name] ?? '';
    const fault = expression === '' ? null : regexFault(expression);
    if (fault === null) continue;
    report.error(
      [...at, 'tags', name],
      `sync content ${name} could not be compiled: ${expression}: ${fault}`,
    );
  }
  if (content.stripPrefix && content.destination === '/' && !content.prefix.includes('/*')) {
    const message = "can not use stripPrefix true and destination '/' without using glob patterns in prefix";
    report.error([...at, 'stripPrefix'], message);
  }
}

export const checkDownloadDir: Rule = ({ config, report }) => {
  const { sync } = config.extensions;
  if (sync?.enable !== true || sync.downloadDir !== '') return;
  if (listStores(config).every(({ store }) => store.storageDriver === undefined)) return;
  const needs =
    'using both sync and remote storage features needs config.Extensions.Sync.DownloadDir to be specified';
  report.error([...path, 'downloadDir'], needs);
};

/** Retention could remove what sync copies again and again. */
export const warnOfRetentionOverlap: Rule = ({ config, report }) => {
  const policies = listStores(config).flatMap(({ store, path: [, , route] }) =>
    (store.retention?.policies ?? []).map(({ repositories, keepTags }) => ({
      patterns: new Set(repositories.map((pattern) => joinNames(String(route ?? ''), pattern))),
      tags: new Set(keepTags.flatMap(({ patterns }) => patterns)),
    })),
  );
  for (const [index, registry] of (config.extensions.sync?.registries ?? []).entries()) {
    for (const [number, content] of registry.content.entries()) {
      const local = localPattern(content);
      const regex = content.tags?.regex ?? '';
      if (!policies.some(({ patterns, tags }) => patterns.has(local) && !tags.has(regex))) continue;
      const message =
        "retention policy can overlap with the sync config, make sure retention doesn't remove syncing images";
      const suffix = regex === '' ? '' : ` with next tag regex: ${regex}`;
      report.warn([...path, 'registries', index, 'content', number], message + suffix);
    }
  }
};

function joinNames(...parts: string[]): string {
  return parts
    .flatMap((part) => part.split('/'))
    .filter((step) => step !== '')
    .join('/');
}

/** The pattern of the repositories here that a content fills. */
function localPattern({ prefix, destination, stripPrefix }: SyncContent): string {
  const steps = prefix.split('/').filter((step) => step !== '');
  const firstGlob = steps.findIndex((step) => /[*?[{]/.test(step));
  const kept = stripPrefix && firstGlob !== -1 ? steps.slice(firstGlob) : stripPrefix ? [] : steps;
  return joinNames(destination, ...kept);
}
