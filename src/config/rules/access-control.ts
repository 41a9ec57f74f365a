import { isHollow, isPlainObject } from '../normalise.ts';
import type { Path } from '../problems.ts';
import { givenAt, globFault, type Rule, type RuleContext } from './rule-context.ts';
import type { ConfigDraft } from '../schema/schema.ts';

/** Checks of `http.accessControl`. */

type AccessControl = NonNullable<ConfigDraft['http']['accessControl']>;
type Policy = AccessControl['repositories'][string]['policies'][number];

const path = ['http', 'accessControl'];
const actions = new Set(['read', 'create', 'update', 'delete', 'detectManifestCollision']);

export const checkAuthorization: Rule = (context) => {
  const { accessControl } = context.config.http;
  if (accessControl === undefined) return;
  checkAuthentication(context, accessControl);
  warnOfActions(context, accessControl);
  warnOfGroups(context, accessControl);
  checkConditions(context, accessControl);
};

/** Rules about users need a way to know users. */
function checkAuthentication({ config, report }: RuleContext, accessControl: AccessControl): void {
  const { auth, tls } = config.http;
  const hasMtls = tls !== undefined && tls.cert !== '' && tls.key !== '' && tls.cacert !== '';
  const methods = [auth.htpasswd, auth.ldap, auth.openid, auth.bearer];
  if (auth.apikey || hasMtls || methods.some((method) => method !== undefined)) return;
  if (isAnonymousOnly(accessControl)) return;
  const message =
    'access control config requires one of htpasswd, ldap, openid or mTLS authentication ' +
    "or using only 'anonymousPolicy' policies";
  report.error(path, message);
}

function isAnonymousOnly({ repositories, adminPolicy, metrics }: AccessControl): boolean {
  const policies = Object.values(repositories);
  const names = (policy: Pick<Policy, 'users' | 'actions'>): boolean =>
    policy.users.length > 0 || policy.actions.length > 0;
  const hasAdmins = adminPolicy !== undefined && names(adminPolicy);
  const naming = policies.some(
    ({ defaultPolicy, policies: own }) => defaultPolicy.length > 0 || own.some(names),
  );
  if (hasAdmins || naming) return false;
  const isOpen = policies.some(({ anonymousPolicy }) => anonymousPolicy.length > 0);
  return isOpen || (policies.length === 0 && metrics?.anonymousPolicy.includes('read') === true);
}

/** A word that is no action never matches: what was meant to be permitted is not. */
function warnOfActions({ report }: RuleContext, { repositories, adminPolicy }: AccessControl): void {
  const lists: [Path, readonly string[]][] = Object.entries(repositories).flatMap(([pattern, entry]) => {
    const at = [...path, 'repositories', pattern];
    return [
      [[...at, 'defaultPolicy'], entry.defaultPolicy],
      [[...at, 'anonymousPolicy'], entry.anonymousPolicy],
      ...entry.policies.map((policy, index): [Path, readonly string[]] => [
        [...at, 'policies', index, 'actions'],
        policy.actions,
      ]),
    ];
  });
  lists.push([[...path, 'adminPolicy', 'actions'], adminPolicy?.actions ?? []]);
  for (const [at, words] of lists) {
    for (const word of words) {
      if (actions.has(word)) continue;
      report.warn(at, `"${word}" is no action and permits nothing; actions are ${[...actions].join(', ')}`);
    }
  }
}

/** zot reads names of groups in lower case where they are made, but not where they are used. */
function warnOfGroups({ report }: RuleContext, { repositories, adminPolicy, groups }: AccessControl): void {
  const spellings = new Map(Object.keys(groups).map((name) => [name.toLowerCase(), name]));
  const check = (at: Path, used: readonly string[]): void => {
    for (const name of used) {
      const made = spellings.get(name.toLowerCase());
      if (made === undefined || made === name) continue;
      report.warn(at, `the group "${name}" is written "${made}" under "groups"; write both alike`);
    }
  };
  for (const [pattern, { policies }] of Object.entries(repositories)) {
    for (const [index, policy] of policies.entries()) {
      check([...path, 'repositories', pattern, 'policies', index, 'groups'], policy.groups);
    }
  }
  check([...path, 'adminPolicy', 'groups'], adminPolicy?.groups ?? []);
}

function checkConditions({ report, checkExpression }: RuleContext, accessControl: AccessControl): void {
  const check = (at: Path, label: string, policy: Policy): void => {
    for (const [index, { expression }] of policy.conditions.entries()) {
      const fault = expression === '' ? 'it is empty' : (checkExpression?.(expression, ['req']) ?? null);
      if (fault !== null)
        report.error([...at, 'conditions', index], `${label}: condition[${index}]: ${fault}`);
    }
  };
  for (const [pattern, { policies }] of Object.entries(accessControl.repositories)) {
    for (const [index, policy] of policies.entries()) {
      const at = [...path, 'repositories', pattern, 'policies', index];
      check(at, `repositories[${JSON.stringify(pattern)}].policies[${index}]`, policy);
    }
  }
  if (accessControl.adminPolicy !== undefined) {
    check([...path, 'adminPolicy'], 'adminPolicy', accessControl.adminPolicy);
  }
}

export const checkPatterns: Rule = ({ config, report }) => {
  for (const pattern of Object.keys(config.http.accessControl?.repositories ?? {})) {
    const fault = globFault(pattern);
    if (fault === null) continue;
    const message = `syntax error in pattern: failed to compile authorization pattern: ${fault}`;
    report.error([...path, 'repositories', pattern], message);
  }
};

/** Where zot drops an empty object and is open, we keep it and deny. */
export const warnOfEmptyPolicies: Rule = (context) => {
  const repositories = givenAt(context, [...path, 'repositories']);
  const entries = isPlainObject(repositories) ? Object.entries(repositories) : [];
  if (entries.length === 0 && isHollow(givenAt(context, path))) {
    const message =
      'accessControl is empty: nobody may do anything. zot ignores an empty object, and permits everything';
    context.report.warn(path, message);
  }
  for (const [pattern, policy] of entries) {
    if (!isHollow(policy)) continue;
    const message = `the policy of "${pattern}" is empty: nobody may do anything there. zot ignores an empty object`;
    context.report.warn([...path, 'repositories', pattern], message);
  }
};
