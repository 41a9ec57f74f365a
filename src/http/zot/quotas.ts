import { isRepoName } from '#oci/repo-name';
import { isUnder } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { Registry } from '#registry';
import { callerOf } from '../caller.ts';
import type { Caller } from '../caller.ts';
import { sendJson } from '../context.ts';
import type { DiscoveredExtension, Handler } from '../context.ts';

export const QUOTAS_URL = '/v2/_zot/ext/quotas';

export const QUOTAS_EXTENSION: DiscoveredExtension = {
  name: '_zot',
  url: 'https://github.com/project-zot/zot/blob/main/pkg/extensions/_zot.md',
  description: 'Quotas and what is used of them',
  endpoints: [QUOTAS_URL],
};

/** Repositories under one prefix that are looked at before the caller counts as a stranger there. */
const LOOKS_MAX = 1000;
const PAGE = 100;

/**
 * GET (ours): every quota with its limit and usage, in bytes. Administrators see all of them, others those of which
 * they may read a repository.
 */
export const getQuotas: Handler = async (request, reply, { registry }) => {
  const caller = callerOf(request);
  const quotas = [];
  for (const quota of await registry.quotas())
    if (caller.isAdmin || (await seesSome(quota.prefix, caller, registry))) quotas.push(quota);
  return sendJson(reply, JSON.stringify({ quotas }));
};

async function seesSome(prefix: RepoPrefix, caller: Caller, registry: Registry): Promise<boolean> {
  if (isRepoName(prefix) && caller.sees(prefix)) return true;
  let last = prefix === '' ? '' : `${prefix}/`;
  for (let looked = 0; looked < LOOKS_MAX; looked += PAGE) {
    const page = await registry.listing.repositories({ last, limit: PAGE }, () => true);
    for (const repo of page.repositories) {
      if (!isUnder(repo, prefix)) return false;
      if (caller.sees(repo)) return true;
    }
    last = page.repositories.at(-1) ?? '';
    if (!page.more) return false;
  }
  return false;
}
