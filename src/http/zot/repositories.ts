import type { FastifyRequest } from 'fastify';
import { RegistryError } from '#oci/errors';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { Registry } from '#registry';
import { callerOf } from '../caller.ts';
import type { Caller } from '../caller.ts';
import { queryValue, sendJson } from '../context.ts';
import type { DiscoveredExtension, Handler } from '../context.ts';

export const REPOSITORY_URL = '/v2/_zot/ext/repository';
export const RENAME_URL = '/v2/_zot/ext/repository/rename';

export const REPOSITORIES_EXTENSION: DiscoveredExtension = {
  name: '_zot',
  url: 'https://github.com/project-zot/zot/blob/main/pkg/extensions/_zot.md',
  description: 'Whole repositories: DELETE ?name=, and POST /rename?name=&to=',
  endpoints: [REPOSITORY_URL, RENAME_URL],
};

const PAGE = 1000;

/** DELETE `?name=` (ours): removes a repository with all that is in it. Needs the right to delete all of it. */
export const deleteRepository: Handler = async (request, reply, { registry }) => {
  const repo = nameOf(request, 'name');
  const caller = callerOf(request);
  await requireOnAll(repo, caller, registry, [{ repo, action: 'delete' }]);
  const outcome = await registry.removeRepository(repo, caller.identity.username);
  return sendJson(reply, JSON.stringify({ repository: repo, ...outcome }));
};

/**
 * POST `?name=&to=` (ours): gives a repository another name. Needs the right to read and delete all of it, and to
 * create all of it under the new name.
 */
export const renameRepository: Handler = async (request, reply, { registry }) => {
  const [repo, target] = [nameOf(request, 'name'), nameOf(request, 'to')];
  await requireOnAll(repo, callerOf(request), registry, [
    { repo, action: 'read' },
    { repo, action: 'delete' },
    { repo: target, action: 'create' },
  ]);
  const outcome = await registry.renameRepository(repo, target);
  return sendJson(reply, JSON.stringify({ repository: repo, target, ...outcome }));
};

function nameOf(request: FastifyRequest, parameter: string): RepoName {
  const text = queryValue(request, parameter);
  if (text !== null) return parseRepoName(text);
  throw new RegistryError('REQUEST_INVALID', { message: `the parameter ${parameter} is missing` });
}

interface Needed {
  readonly repo: RepoName;
  readonly action: 'read' | 'create' | 'delete';
}

/**
 * Throws what refuses the caller an action on a repository as a whole or on one of its tags, for which conditions of
 * policies may say something else. The same for a repository that does not exist, so that nothing is said about it.
 */
async function requireOnAll(
  repo: RepoName,
  caller: Caller,
  registry: Registry,
  needed: readonly Needed[],
): Promise<void> {
  const requireOn = (reference: string): void => {
    for (const one of needed)
      if (!caller.may(one.repo, one.action, reference)) throw caller.refusal(one.repo, one.action, reference);
  };
  requireOn('');
  for (let last = '', more = true; more;) {
    const page = await registry.listing.tags(repo, { last, limit: PAGE });
    for (const tag of page.tags) requireOn(tag);
    last = page.tags.at(-1) ?? '';
    more = page.more;
  }
}
