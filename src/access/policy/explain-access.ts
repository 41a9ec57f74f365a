import type { Config } from '#config';
import type { RepoName } from '#oci/repo-name';
import { ANONYMOUS } from '../contract.ts';
import type { AccessRequest, Action, Identity, Question } from '../contract.ts';
import { METHODS } from '../methods.ts';
import { explain } from './explain.ts';
import type { Explanation } from './explanation.ts';
import { conditionCompiler } from './open-policy.ts';
import { Policy } from './policy.ts';

export interface AccessQuery {
  /** '' for somebody who has not signed in. */
  readonly username: string;
  /** Groups that the sign-in brings, beside those of the configuration. */
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly repo: RepoName;
  readonly actions: readonly Action[];
  /** A tag or digest; '' for none. */
  readonly reference: string;
  readonly clientAddress: string;
  readonly nowMs: number;
}

export interface AccessExplanation {
  /** `open`: nothing is configured; `signedIn`: whoever has signed in may do everything; `policies`: they decide. */
  readonly rule: 'open' | 'signedIn' | 'policies';
  /** The groups that count for the caller. */
  readonly groups: readonly string[];
  readonly explanations: readonly Explanation[];
  /** What else there is to know. */
  readonly notes: readonly string[];
}

const METHOD_OF: Readonly<Record<Action, string>> = {
  read: 'GET',
  create: 'PUT',
  update: 'PUT',
  delete: 'DELETE',
};

/** Says what a configuration permits to a caller, and why. Throws `StartError` for conditions that do not compile. */
export async function explainAccess(config: Config, query: AccessQuery): Promise<AccessExplanation> {
  const methods = METHODS.filter((method) => method.isConfigured(config)).map(({ method }) => method);
  const { accessControl } = config.http;
  if (accessControl === undefined) return withoutPolicies(query, methods.length === 0);
  const compile = await conditionCompiler(accessControl);
  const policy = new Policy({ accessControl, compile, report: () => undefined, now: () => query.nowMs });
  const identity = identityOf(query);
  const questions = query.actions.map((action) => questionOf(query, identity, action));
  return {
    rule: 'policies',
    groups: policy.groupsOf(identity),
    explanations: questions.map((question) => explain(policy, accessControl, question)),
    notes: [...notesOnSignIn(query, methods), ...notesOnUse(policy, query, identity)],
  };
}

function withoutPolicies(query: AccessQuery, isOpen: boolean): AccessExplanation {
  const allowed = isOpen || query.username !== '';
  const none = { reason: null, pattern: null, lost: [], steps: [], decidedBy: null };
  const hints = allowed
    ? []
    : ['sign in: without http.accessControl whoever has signed in may do everything'];
  return {
    rule: isOpen ? 'open' : 'signedIn',
    groups: query.groups,
    explanations: query.actions.map((action) => ({ ...none, action, allowed, hints })),
    notes:
      isOpen && query.username !== '' ? ['no way to sign in is configured: names are not looked at'] : [],
  };
}

function identityOf({ username, groups, claims }: AccessQuery): Identity {
  if (username === '') return ANONYMOUS;
  return { ...ANONYMOUS, username, groups, claims, method: claims === null ? 'htpasswd' : 'oidc' };
}

function questionOf(query: AccessQuery, identity: Identity, action: Action): Question {
  const { repo, reference, clientAddress } = query;
  const request: AccessRequest = {
    method: METHOD_OF[action],
    url: `/v2/${repo}/manifests/${reference}`,
    headers: {},
    authorization: [],
    peerAddress: clientAddress,
    clientAddress,
    forwardedFor: [],
    tlsVersion: null,
    peerCertificate: null,
    userAgent: '',
  };
  return { identity, repo, action, request, reference };
}

function notesOnSignIn({ username }: AccessQuery, methods: readonly string[]): string[] {
  const notes: string[] = [];
  if (username !== '' && methods.length === 0) {
    notes.push(`no way to sign in is configured: nobody can come as ${username}`);
  }
  if (methods.includes('bearer')) {
    notes.push(
      'tokens of the outside token server (http.auth.bearer) are judged by their scope alone, not by this',
    );
  }
  if (username !== '' && methods.includes('apikey')) {
    notes.push('an API key with scopes permits no more than these, whatever its owner may do');
  }
  return notes;
}

function notesOnUse(policy: Policy, query: AccessQuery, identity: Identity): string[] {
  const { actions } = query;
  const may = (action: Action): boolean => policy.decide(questionOf(query, identity, action)).allowed;
  const notes: string[] = [];
  const pushes = actions.includes('create') || actions.includes('update');
  if (pushes && !may('read')) {
    notes.push('most clients look before they push: without "read" as well they fail');
  }
  const asked = questionOf(query, identity, 'delete');
  if (actions.includes('delete') && policy.detectsCollisions(asked)) {
    notes.push(
      'detectManifestCollision: a manifest that has several tags is not deleted by its digest (409)',
    );
  }
  return notes;
}
