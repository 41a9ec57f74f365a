import type { FastifyRequest } from 'fastify';
import { ANONYMOUS } from '#access';
import type { Access, AccessRequest, Action, Identity } from '#access';
import { RegistryError } from '#oci/errors';
import { referenceText } from '#oci/reference';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { PushRights, Rights } from '#registry';

/** Who is asking, for handlers: what they may do beyond what the pipeline asked for the route. */
export interface Caller {
  readonly identity: Identity;
  /** Whether they may do something else than the route says, such as read the source of a mount. */
  may(repo: RepoName, action: Action, reference?: string): boolean;
  /** Whether they see what concerns all. */
  readonly isAdmin: boolean;
  /** Whether lists show them a repository. */
  sees(repo: RepoName): boolean;
  /** What they may do with what a push names; `null`: everything. Throws what refuses them where that is nothing. */
  pushRights(repo: RepoName, reference: Reference, tags: readonly Tag[]): PushRights | null;
  /** How many tags they may delete at once with their manifest. */
  tagsDeletedAtOnce(repo: RepoName, reference: Reference): number;
  /** Whose uploads they may go on with: their name, '' for everybody without one; `null`: anybody's. */
  readonly uploadOwner: string | null;
  /** How one may sign in here: `WWW-Authenticate` values. */
  challenges(): readonly string[];
  /** The error that refuses them this action. */
  refusal(repo: RepoName, action: Action, reference?: string): RegistryError;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the pipeline; `null` where nobody was asked who they are. */
    caller: Caller | null;
  }
}

/** With no access configured everybody is nobody and may do everything. */
const OPEN_CALLER: Caller = {
  identity: ANONYMOUS,
  may: () => true,
  isAdmin: true,
  sees: () => true,
  pushRights: () => null,
  tagsDeletedAtOnce: () => Number.POSITIVE_INFINITY,
  uploadOwner: null,
  challenges: () => [],
  refusal: () => new RegistryError('DENIED'),
};

/** The caller of a request that went through the pipeline. */
export function callerOf(request: FastifyRequest): Caller {
  return request.caller ?? OPEN_CALLER;
}

/** A caller whom the access module judges. */
export class JudgedCaller implements Caller {
  readonly identity: Identity;
  /** Headers that every answer to this request gets, such as the removal of an expired cookie. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly request: AccessRequest;
  readonly access: Access;

  constructor(
    access: Access,
    request: AccessRequest,
    identity: Identity,
    headers: JudgedCaller['headers'] = {},
  ) {
    this.access = access;
    this.request = request;
    this.identity = identity;
    this.headers = headers;
  }

  may(repo: RepoName, action: Action, reference = ''): boolean {
    const { identity, request } = this;
    return this.access.decide({ identity, repo, action, request, reference }).allowed;
  }

  get isAdmin(): boolean {
    return this.access.isAdmin(this.identity, this.request);
  }

  sees(repo: RepoName): boolean {
    return this.access.sees(this.identity, repo, this.request);
  }

  get uploadOwner(): string {
    return this.identity.username;
  }

  pushRights(repo: RepoName, reference: Reference, tags: readonly Tag[]): PushRights {
    const named = reference.kind === 'tag' ? [reference.tag] : tags;
    // Not by assignment: `__proto__` is a tag like any other.
    const ofTags = Object.fromEntries(named.map((tag) => [tag, this.#rightsTo(repo, tag)]));
    return {
      digest: reference.kind === 'digest' ? this.#rightsTo(repo, reference.digest) : null,
      tags: ofTags,
    };
  }

  #rightsTo(repo: RepoName, reference: string): Rights {
    const rights = {
      create: this.may(repo, 'create', reference),
      update: this.may(repo, 'update', reference),
    };
    if (!rights.create && !rights.update) throw this.refusal(repo, 'create', reference);
    return rights;
  }

  tagsDeletedAtOnce(repo: RepoName, reference: Reference): number {
    const { identity, request } = this;
    const question = { identity, request, repo, reference: referenceText(reference) };
    return this.access.detectsCollisions(question) ? 1 : Number.POSITIVE_INFINITY;
  }

  challenges(): readonly string[] {
    return this.access.challenges(this.request, null);
  }

  /**
   * 401 for those who may come back with (other) credentials, 403 for those who are known and may not; the same for
   * a repository that does not exist, so that nothing is said about it.
   */
  refusal(repo: RepoName, action: Action, reference = ''): RegistryError {
    const { identity, request } = this;
    const { reason, missingScope } = this.access.decide({ identity, repo, action, request, reference });
    const challenges = this.access.challenges(request, { repo, action });
    const detail = { detail: { action, ...(reason === null ? {} : { reason }) } };
    const headers = { ...this.headers, ...challengeHeaders(challenges) };
    const canRetry = identity.method === 'none' || missingScope === true;
    return new RegistryError(canRetry ? 'UNAUTHORIZED' : 'DENIED', { headers, ...detail });
  }
}

export function challengeHeaders(challenges: readonly string[]): Record<string, readonly string[]> {
  return challenges.length === 0 ? {} : { 'www-authenticate': challenges };
}
