import type { Config } from '#config';
import { StartError } from '#lib/start-error';
import type { RepoName } from '#oci/repo-name';
import { Challenges } from './challenges.ts';
import { ANONYMOUS } from './contract.ts';
import type { Access, AccessRequest, Decision, Identity, Question, Refused, Wanted } from './contract.ts';
import { Identification } from './identification.ts';
import type { PlacedAuthenticator } from './identification.ts';

export interface ComposedParts {
  readonly authenticators: readonly PlacedAuthenticator[];
  readonly accessControl: Config['http']['accessControl'];
  readonly realm: string;
}

const ALLOWED: Decision = { allowed: true, reason: null };
const DENIED: Decision = { allowed: false, reason: null };

/** Nothing is configured. */
export const OPEN_ACCESS: Access = {
  open: true,
  identify: () => Promise.resolve(ANONYMOUS),
  decide: () => ALLOWED,
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
  #parts: ComposedParts;
  #identification: Identification;
  #challenges: Challenges;

  constructor(parts: ComposedParts) {
    this.#parts = parts;
    if (parts.accessControl !== undefined) throw new StartError('http.accessControl: not in this build yet');
    this.#identification = new Identification(parts.authenticators);
    this.#challenges = new Challenges(
      parts.authenticators.map(({ authenticator }) => authenticator),
      parts.realm,
    );
  }

  identify(request: AccessRequest): Promise<Identity | Refused> {
    return this.#identification.identify(request);
  }

  decide({ identity }: Question): Decision {
    return isSomebody(identity) ? ALLOWED : DENIED;
  }

  sees(identity: Identity, _repo: RepoName, _request: AccessRequest): boolean {
    return isSomebody(identity);
  }

  admits(identity: Identity, _request: AccessRequest): boolean {
    return isSomebody(identity);
  }

  isAdmin(identity: Identity, _request: AccessRequest): boolean {
    return isSomebody(identity);
  }

  mayReadMetrics(identity: Identity): boolean {
    return isSomebody(identity);
  }

  detectsCollisions(_question: Omit<Question, 'action'>): boolean {
    return false;
  }

  challenges(request: AccessRequest, wanted: Wanted | null): readonly string[] {
    return request.headers[UI_HEADER] === UI_NAME ? [] : this.#challenges.for(wanted);
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.authenticators.map(({ authenticator }) => authenticator.close()));
  }
}

function isSomebody(identity: Identity): boolean {
  return identity.method !== 'none';
}
