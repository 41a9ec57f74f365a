import type { Question } from '../contract.ts';

/** A question, also one that concerns no repository. */
export type Asked = Omit<Question, 'repo'> & { readonly repo: string };

/** What the policies know of the caller beyond the question. */
export interface CallerFacts {
  readonly groups: readonly string[];
  /** Named as an administrator, whatever the conditions of that say. */
  readonly admin: boolean;
}

/** The fields of `req`, for checks of expressions: `true` for a value, an object for further fields. */
export const REQUEST_FIELDS = {
  time: true,
  method: true,
  userAgent: true,
  action: true,
  repository: true,
  reference: true,
  referenceType: true,
  tag: true,
  digest: true,
  user: { username: true, groups: true },
  auth: { anonymous: true, admin: true },
  client: { ip: true, forwardedFor: true },
  tls: { enabled: true, version: true },
  claims: true,
} as const;

/**
 * The variable `req` of conditions, with zot's fields. `client.ip` is the peer, or the client that a trusted proxy
 * names; `client.forwardedFor` is whatever the client says.
 */
export function requestFacts(question: Asked, caller: CallerFacts, nowMs: number): Record<string, unknown> {
  const { identity, request, repo, action, reference } = question;
  const { tlsVersion } = request;
  const isDigest = reference.includes(':');
  return {
    time: new Date(nowMs),
    method: request.method,
    userAgent: request.userAgent,
    action,
    repository: repo,
    reference,
    referenceType: reference === '' ? '' : isDigest ? 'digest' : 'tag',
    tag: isDigest ? '' : reference,
    digest: isDigest ? reference : '',
    user: { username: identity.username, groups: caller.groups },
    auth: { anonymous: identity.method === 'none', admin: caller.admin },
    client: { ip: request.clientAddress, forwardedFor: request.forwardedFor },
    tls: { enabled: tlsVersion !== null, version: tlsVersion ?? '' },
    claims: identity.claims,
  } satisfies Record<keyof typeof REQUEST_FIELDS, unknown>;
}
