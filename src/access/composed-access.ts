import type { RepoName } from '#oci/repo-name';
import { Challenges } from './challenges.ts';
import { ANONYMOUS } from './contract.ts';
import type {
  Access,
  AccessRequest,
  Action,
  ApiKeyDesk,
  Decision,
  Identity,
  OpenidDesk,
  Question,
  Refused,
  SessionDesk,
  TokenDesk,
  Wanted,
} from './contract.ts';
import { Identification } from './identification.ts';
import type { PlacedAuthenticator } from './identification.ts';
import type { Policy } from './policy/policy.ts';

export interface ComposedParts {
  readonly authenticators: readonly PlacedAuthenticator[];
  /** `null`: whoever has signed in may do everything. */
  readonly policy: Policy | null;
  readonly realm: string;
  readonly sessions: SessionDesk | null;
  readonly apiKeys: ApiKeyDesk | null;
  readonly tokens: TokenDesk | null;
  readonly openid: OpenidDesk | null;
  /** Closes what the ways to sign in share. */
  readonly closeShared: () => Promise<void>;
}

const ALLOWED: Decision = { allowed: true, reason: null };
const DENIED: Decision = { allowed: false, reason: null };
const MISSING_SCOPE: Decision = { allowed: false, reason: null, missingScope: true };

/** Nothing is configured. */
export const OPEN_ACCESS: Access = {
  open: true,
  sessions: null,
  apiKeys: null,
  tokens: null,
  openid: null,
  identify: () => Promise.resolve(ANONYMOUS),
  decide: () => ALLOWED,
  reaches: () => true,
  sees: () => true,
  admits: () => true,
  isAdmin: () => true,
  mayReadMetrics: () => true,
  detectsCollisions: () => false,
  challenges: () => [],
  close: () => Promise.resolve(),
};

/** The scripts of the UI ask with this header; a challenge would make the browser ask the user itself. */
const UI_HEADER = 'x-zot-api-client';
const UI_NAME = 'zot-ui';

/** Ways to sign in and policies, put together. */
export class ComposedAccess implements Access {
  readonly open = false;
  readonly sessions: SessionDesk | null;
  readonly apiKeys: ApiKeyDesk | null;
  readonly tokens: TokenDesk | null;
  readonly openid: OpenidDesk | null;
  #parts: ComposedParts;
  #identification: Identification;
  #challenges: Challenges;

  constructor(parts: ComposedParts) {
    this.#parts = parts;
    this.sessions = parts.sessions;
    this.apiKeys = parts.apiKeys;
    this.tokens = parts.tokens;
    this.openid = parts.openid;
    this.#identification = new Identification(parts.authenticators);
    this.#challenges = new Challenges(
      parts.authenticators.map(({ authenticator }) => authenticator),
      parts.realm,
    );
  }

  identify(request: AccessRequest): Promise<Identity | Refused> {
    return this.#identification.identify(request);
  }

  /** The policies and, for tokens and keys, their scope: both must permit it. */
  decide(question: Question): Decision {
    const { identity, repo, action } = question;
    const { scope, scopeOnly } = identity;
    const inScope = scope === null ? !scopeOnly : scope.permits(repo, action);
    if (scopeOnly) return inScope ? ALLOWED : MISSING_SCOPE;
    const decision = this.#decideByPolicy(question);
    if (!decision.allowed || inScope) return decision;
    // Another token may reach further; an API key stays what it is.
    return identity.method === 'apikey' ? DENIED : MISSING_SCOPE;
  }

  #decideByPolicy(question: Question): Decision {
    const { policy } = this.#parts;
    if (policy !== null) return policy.decide(question);
    return isSomebody(question.identity) ? ALLOWED : DENIED;
  }

  reaches(identity: Identity, repo: RepoName, action: Action): boolean {
    const { scope, scopeOnly } = identity;
    if (scope === null ? scopeOnly : !scope.permits(repo, action)) return false;
    const { policy } = this.#parts;
    return policy === null ? isSomebody(identity) : policy.reaches(identity, repo, action);
  }

  sees(identity: Identity, repo: RepoName, request: AccessRequest): boolean {
    const { scope, scopeOnly } = identity;
    if (scope === null ? scopeOnly : !scope.sees(repo)) return false;
    return (
      scopeOnly || this.#decideByPolicy({ identity, repo, action: 'read', request, reference: '' }).allowed
    );
  }

  admits(identity: Identity, request: AccessRequest): boolean {
    if (isSomebody(identity)) return true;
    const anonymous = this.#parts.policy?.anonymous ?? 'nothing';
    return anonymous !== 'nothing' && !(anonymous === 'some' && this.#mustAskDocker(request));
  }

  /** Docker sends its credentials only when `/v2/` itself asks for them. */
  #mustAskDocker({ url, userAgent }: AccessRequest): boolean {
    const [path] = url.split('?', 1);
    const isDocker = userAgent.startsWith('docker/') || userAgent.includes('Docker-Client');
    return isDocker && (path === '/v2/' || path === '/v2') && this.#takesHeaders();
  }

  #takesHeaders(): boolean {
    return this.#parts.authenticators.some(({ place }) => place === 'header');
  }

  isAdmin(identity: Identity, request: AccessRequest): boolean {
    if (isNarrowed(identity)) return false;
    const { policy } = this.#parts;
    return policy === null ? isSomebody(identity) : policy.isAdmin(identity, request);
  }

  mayReadMetrics(identity: Identity): boolean {
    if (isNarrowed(identity)) return false;
    const { policy } = this.#parts;
    return policy === null ? isSomebody(identity) : policy.mayReadMetrics(identity);
  }

  detectsCollisions(question: Omit<Question, 'action'>): boolean {
    return !question.identity.scopeOnly && this.#parts.policy?.detectsCollisions(question) === true;
  }

  challenges(request: AccessRequest, wanted: Wanted | null): readonly string[] {
    return request.headers[UI_HEADER] === UI_NAME ? [] : this.#challenges.for(wanted, request);
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.authenticators.map(({ authenticator }) => authenticator.close()));
    await this.#parts.closeShared();
  }
}

function isSomebody(identity: Identity): boolean {
  return identity.method !== 'none';
}

/** What concerns all is not in the scope of any token or key. */
function isNarrowed(identity: Identity): boolean {
  return identity.scope !== null || identity.scopeOnly;
}
