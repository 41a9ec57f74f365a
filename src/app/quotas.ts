import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import type { RepoName } from '#oci/repo-name';
import { parseRepoPrefix, prefixesOf } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { LocalKeeper, Quota } from '#registry';

/** The quotas of a configuration, which was checked. */
export function quotasOf(config: Config): readonly Quota[] {
  return [...limitsOf(config)].map(([prefix, maxBytes]) => ({ prefix, maxBytes }));
}

/** Whether a repository counts toward a quota of a configuration. */
export function isUnderQuota(config: Config, repo: RepoName): boolean {
  if (config.storage.quotas.length === 0) return false;
  const limits = limitsOf(config);
  return prefixesOf(repo).some((prefix) => limits.has(prefix));
}

/** Read once for each configuration. */
function limitsOf(config: Config): ReadonlyMap<RepoPrefix, number> {
  const known = limits.get(config);
  if (known !== undefined) return known;
  const read = new Map<RepoPrefix, number>();
  for (const { prefix: text, maxBytes } of config.storage.quotas) {
    const prefix = parseRepoPrefix(text);
    if (prefix !== null) read.set(prefix, maxBytes);
  }
  limits.set(config, read);
  return read;
}

const limits = new WeakMap<Config, ReadonlyMap<RepoPrefix, number>>();

/**
 * Compares the counts of quotas with the files: of quotas that are new before anybody is served, so that they hold from
 * the first push on; of others, after a process that was killed, beside the requests.
 */
export async function countQuotas(
  keeper: LocalKeeper,
  counting: { readonly before: readonly RepoPrefix[]; readonly beside: readonly RepoPrefix[] },
  logger: Logger,
): Promise<void> {
  const { before, beside } = counting;
  if (before.length > 0) {
    const startedMs = performance.now();
    logger.info({ component: 'quotas', prefixes: before }, 'the bytes of new quotas are counted');
    await keeper.quotas.compare(before);
    const elapsedMs = Math.round(performance.now() - startedMs);
    logger.info(
      { component: 'quotas', prefixes: before, elapsedMs },
      'the bytes of new quotas are counted: done',
    );
  }
  if (beside.length > 0) keeper.quotas.compareBeside(beside);
}
