/**
 * Who is asking, and may they: the one place where a request meets the access module. Every route goes through here
 * with the permission of its record, before its handler runs.
 */
import type { FastifyRequest } from 'fastify';
import { ANONYMOUS, isRefused } from '#access';
import type { Access, Identity, Refused, Wanted } from '#access';
import { RegistryError } from '#oci/errors';
import { HttpAccessRequest } from './access-request.ts';
import { JudgedCaller, challengeHeaders } from './caller.ts';
import { referenceTextOf, repoOf } from './context.ts';
import type { Permission, Route } from './routes.ts';

/** Whether a request of this route may go to its handler without a question. */
export function isOpenTo(route: Route, access: Access): boolean {
  return route.permission === 'public' || (access.open && route.permission !== 'signedIn');
}

/** Identifies the caller of a request and gives them to its handler, or throws what refuses them. */
export async function authorize(
  request: FastifyRequest,
  route: Route,
  access: Access,
): Promise<JudgedCaller> {
  const caller = await identifyCaller(request, access, route.permission);
  request.caller = caller;
  permit(request, route.permission, caller);
  return caller;
}

/**
 * Who is asking; for routes that anybody may call and that ask for themselves. Throws 401, with a challenge that
 * names what the permission needs, 429 or 503.
 */
export async function identifyCaller(
  request: FastifyRequest,
  access: Access,
  permission: Permission = 'public',
): Promise<JudgedCaller> {
  const facts = new HttpAccessRequest(request);
  const found = await identified(access, facts);
  if (!isRefused(found)) return new JudgedCaller(access, facts, found, found.headers ?? {});
  if (found.asAnonymous === true) return new JudgedCaller(access, facts, ANONYMOUS, found.headers ?? {});
  request.course.refused = found;
  throw refusalOf(found, access.challenges(facts, wantedBy(request, permission)));
}

async function identified(access: Access, facts: HttpAccessRequest): Promise<Identity | Refused> {
  try {
    return await access.identify(facts);
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    const message = 'it cannot be found out who is asking, try again';
    throw new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 5, cause: error });
  }
}

/** Wrong credentials: which part of them is wrong is for the audit log alone. */
function refusalOf(refused: Refused, challenges: readonly string[]): RegistryError {
  const { retryAfterSeconds, headers } = refused;
  if (retryAfterSeconds !== undefined) {
    const message = 'too many failed sign-ins, try again later';
    return new RegistryError('TOOMANYREQUESTS', {
      message,
      retryAfterSeconds,
      ...(headers === undefined ? {} : { headers }),
    });
  }
  return new RegistryError('UNAUTHORIZED', {
    headers: { ...headers, ...challengeHeaders(challenges) },
  });
}

/** What a token would have to permit: clients whose token is refused fetch the next one for that. */
function wantedBy(request: FastifyRequest, permission: Permission): Wanted | null {
  switch (permission) {
    case 'read':
    case 'create':
    case 'delete':
      return { repo: repoOf(request), action: permission };
    case 'createOrUpdate':
      return { repo: repoOf(request), action: 'create' };
    default:
      return null;
  }
}

function permit(request: FastifyRequest, permission: Permission, caller: JudgedCaller): void {
  switch (permission) {
    case 'public':
      return;
    case 'anyone':
      return require(caller.access.admits(caller.identity, caller.request), caller);
    case 'signedIn':
      return require(caller.identity.username !== '', caller);
    case 'admin':
      return require(caller.access.isAdmin(caller.identity, caller.request), caller);
    case 'metrics':
      return require(caller.access.mayReadMetrics(caller.identity), caller);
    case 'createOrUpdate':
      return permitPush(request, caller);
    case 'read':
    case 'create':
    case 'delete': {
      const repo = repoOf(request);
      const reference = referenceTextOf(request);
      if (!caller.may(repo, permission, reference)) throw caller.refusal(repo, permission, reference);
    }
  }
}

/** Which of the two rights is needed is known when the push meets the tags that are there; it needs at least one. */
function permitPush(request: FastifyRequest, caller: JudgedCaller): void {
  const repo = repoOf(request);
  const reference = referenceTextOf(request);
  if (caller.may(repo, 'create', reference) || caller.may(repo, 'update', reference)) return;
  throw caller.refusal(repo, 'create', reference);
}

/** What concerns no repository: 401 for nobody, 403 for somebody. */
function require(allowed: boolean, caller: JudgedCaller): void {
  if (allowed) return;
  const { identity, access, request, headers } = caller;
  const code = identity.method === 'none' ? 'UNAUTHORIZED' : 'DENIED';
  throw new RegistryError(code, {
    headers: { ...headers, ...challengeHeaders(access.challenges(request, null)) },
  });
}
