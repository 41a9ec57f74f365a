import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { configFromObject } from '#config';
import { compileGlob } from '#lib/doublestar';
import { parseRepoName } from '#oci/repo-name';
import { ANONYMOUS } from '../contract.ts';
import type { AccessRequest, Action, Decision, Identity } from '../contract.ts';
import type { AccessControl } from './compiled.ts';
import { compileCondition } from './conditions.ts';
import { explain } from './explain.ts';
import { comparePatterns } from './pattern-order.ts';
import { Policy } from './policy.ts';

const request: AccessRequest = {
  method: 'GET',
  url: '/v2/x/manifests/v1',
  headers: {},
  authorization: [],
  peerAddress: '10.0.0.1',
  clientAddress: '10.0.0.1',
  forwardedFor: ['1.2.3.4'],
  tlsVersion: '1.3',
  peerCertificate: null,
  userAgent: 'test/1',
};

function user(username: string, groups: readonly string[] = [], claims: Identity['claims'] = null): Identity {
  return { ...ANONYMOUS, username, groups, claims, method: 'htpasswd' };
}

function accessControlOf(text: object): AccessControl {
  const { config } = configFromObject({ http: { auth: { htpasswd: { path: 'x' } }, accessControl: text } });
  assert.ok(config.http.accessControl);
  return config.http.accessControl;
}

function policyOf(accessControl: object, reports: string[] = []): Policy {
  return new Policy({
    accessControl: accessControlOf(accessControl),
    compile: compileCondition,
    report: (place, _expression, error) => reports.push(`${place}: ${error}`),
  });
}

interface Asked {
  readonly identity: Identity;
  readonly repo: string;
  readonly action: Action;
  readonly reference?: string;
  readonly request?: Partial<AccessRequest>;
}

function ask(policy: Policy, asked: Asked): Decision {
  const { identity, action, reference = '' } = asked;
  return policy.decide({
    identity,
    repo: parseRepoName(asked.repo),
    action,
    reference,
    request: { ...request, ...asked.request },
  });
}

function may(policy: Policy, identity: Identity, repo: string, action: Action): boolean {
  return ask(policy, { identity, repo, action }).allowed;
}

const all = ['read', 'create', 'update', 'delete'] as const;

test('the table of zot: which rule decides', () => {
  const infra = policyOf({
    repositories: {
      '**': { defaultPolicy: ['read', 'create'] },
      'infra/*': { policies: [{ users: ['alice'], actions: ['read'] }] },
    },
  });
  assert.equal(may(infra, user('bob'), 'infra/a', 'read'), false);
  assert.equal(may(infra, user('bob'), 'infra/a/b', 'read'), true);
  assert.equal(may(infra, user('alice'), 'infra/a', 'read'), true);
  const tmp = policyOf({
    repositories: {
      '**': { policies: [{ users: ['alice'], actions: all }] },
      'tmp/**': { defaultPolicy: ['read'] },
    },
  });
  assert.equal(may(tmp, user('alice'), 'tmp/x', 'create'), false);
  assert.equal(may(tmp, user('alice'), 'tmp/x', 'read'), true);
  const anonymous = policyOf({ repositories: { 'p/*': { anonymousPolicy: ['read'] } } });
  assert.equal(may(anonymous, user('bob'), 'p/a', 'read'), false);
  assert.equal(may(anonymous, ANONYMOUS, 'p/a', 'read'), true);
  assert.equal(may(anonymous, ANONYMOUS, 'p/a', 'create'), false);
  assert.equal(may(anonymous, ANONYMOUS, 'q/a', 'read'), false);
});

test('groups of the configuration count for every way to sign in, those of the sign-in too', () => {
  const policy = policyOf({
    groups: { Maintainers: { users: ['carol'] } },
    repositories: {
      '**': {
        policies: [
          { groups: ['Maintainers'], actions: ['read'] },
          { groups: ['maintainers'], actions: ['create'] },
          { groups: ['ldap'], actions: ['delete'] },
        ],
      },
    },
  });
  assert.equal(may(policy, user('carol'), 'a', 'read'), true);
  assert.equal(may(policy, user('carol'), 'a', 'create'), true);
  assert.equal(may(policy, user('carol'), 'a', 'delete'), false);
  assert.equal(may(policy, user('dave', ['ldap']), 'a', 'delete'), true);
  assert.equal(may(policy, user('dave', ['LDAP']), 'a', 'delete'), false);
  const many = Array.from({ length: 5000 }, (_, at) => `g${at}`);
  assert.equal(may(policy, user('dave', [...many, 'ldap']), 'a', 'delete'), true);
});

test('administrators are asked last, within their actions', () => {
  const policy = policyOf({
    repositories: { 'a/**': { defaultPolicy: ['read'] } },
    adminPolicy: { users: ['root'], groups: ['wheel'], actions: ['read', 'delete'] },
  });
  assert.equal(may(policy, user('root'), 'z', 'delete'), true);
  assert.equal(may(policy, user('root'), 'z', 'update'), false);
  assert.equal(may(policy, user('x', ['wheel']), 'a/b', 'delete'), true);
  assert.equal(policy.isAdmin(user('root'), request), true);
  assert.equal(policy.isAdmin(user('x', ['wheel']), request), true);
  assert.equal(policy.isAdmin(user('bob'), request), false);
  assert.equal(policy.isAdmin(ANONYMOUS, request), false);
});

test('an empty user name of a policy is nobody, and no policy is for anonymous callers but the anonymous one', () => {
  const policy = policyOf({
    repositories: { '**': { policies: [{ users: [''], groups: [''], actions: all }] } },
  });
  assert.equal(may(policy, ANONYMOUS, 'a', 'read'), false);
});

test('conditions switch single policies off and say why', () => {
  const reports: string[] = [];
  const policy = policyOf(
    {
      repositories: {
        '**': {
          policies: [
            {
              users: ['alice'],
              actions: ['create'],
              conditions: [
                { expression: "req.client.ip.startsWith('10.')", message: 'only from the office' },
              ],
            },
            {
              users: ['alice'],
              actions: ['create'],
              conditions: [{ expression: "req.tag == 'free'", message: 'only the tag free' }],
            },
            {
              users: ['alice'],
              actions: ['delete'],
              conditions: [{ expression: 'req.claims.x == 1', message: 'no' }],
            },
          ],
        },
      },
    },
    reports,
  );
  const create = { identity: user('alice'), repo: 'a', action: 'create' } as const;
  assert.deepEqual(ask(policy, create), { allowed: true, reason: null });
  const away = { clientAddress: '192.168.0.1' };
  assert.deepEqual(ask(policy, { ...create, request: away }), {
    allowed: false,
    reason: 'only the tag free',
  });
  assert.equal(ask(policy, { ...create, request: away, reference: 'free' }).allowed, true);
  assert.equal(ask(policy, { ...create, request: away, reference: 'sha256:free' }).allowed, false);
  const broken = ask(policy, { ...create, action: 'delete' });
  assert.deepEqual(broken, { allowed: false, reason: null });
  assert.match(reports[0] ?? '', /policies\[2\].*claims|policies\[2\].*key/);
  const withClaims = { ...create, action: 'delete', identity: user('alice', [], { x: 1 }) } as const;
  assert.equal(ask(policy, withClaims).allowed, true);
});

test('forwarded addresses of the client are no address', () => {
  const policy = policyOf({
    repositories: {
      '**': {
        policies: [
          { users: ['a'], actions: ['read'], conditions: [{ expression: "req.client.ip == '1.2.3.4'" }] },
        ],
      },
    },
  });
  assert.equal(ask(policy, { identity: user('a'), repo: 'a', action: 'read' }).allowed, false);
});

test('the reason of the administrators wins over that of the repository', () => {
  const policy = policyOf({
    repositories: {
      '**': {
        policies: [
          { users: ['a'], actions: ['read'], conditions: [{ expression: 'false', message: 'one' }] },
        ],
      },
    },
    adminPolicy: { users: ['a'], actions: ['read'], conditions: [{ expression: 'false', message: 'two' }] },
  });
  assert.equal(ask(policy, { identity: user('a'), repo: 'x', action: 'read' }).reason, 'two');
  assert.equal(policy.isAdmin(user('a'), request), false);
});

test('expressions that can never be a condition are refused', () => {
  for (const expression of ["'text'", '1 +', 'req.client.adress == 1', 'req.nope', 'user.name == 1']) {
    assert.throws(() => compileCondition(expression, ''), expression);
  }
  for (const expression of [
    'has(req.claims.x)',
    'req.claims.a.b == 1',
    "req.?claims.?x.orValue('') == 'y'",
  ]) {
    assert.ok(compileCondition(expression, ''));
  }
});

test('metrics have their own list', () => {
  const policy = policyOf({
    repositories: {},
    metrics: { users: ['prom'] },
    adminPolicy: { users: ['root'] },
  });
  assert.equal(policy.mayReadMetrics(user('prom')), true);
  assert.equal(policy.mayReadMetrics(user('root')), false);
  assert.equal(policy.mayReadMetrics(ANONYMOUS), false);
  const open = policyOf({ metrics: { anonymousPolicy: ['read'] } });
  assert.equal(open.mayReadMetrics(ANONYMOUS), true);
  assert.equal(open.mayReadMetrics(user('x')), false);
});

test('detectManifestCollision is for those who have it, never for administrators', () => {
  const policy = policyOf({
    repositories: { '**': { defaultPolicy: ['delete', 'detectManifestCollision'] } },
    adminPolicy: { users: ['root'], actions: ['delete'] },
  });
  const asked = { repo: parseRepoName('a'), request, reference: 'sha256:x' };
  assert.equal(policy.detectsCollisions({ ...asked, identity: user('bob') }), true);
  assert.equal(policy.detectsCollisions({ ...asked, identity: user('root') }), false);
  assert.equal(policy.detectsCollisions({ ...asked, identity: ANONYMOUS }), false);
});

// --- against a slow reading of the rules, for any rules ---

const name = fc.constantFrom('u1', 'u2', 'u3');
const group = fc.constantFrom('g1', 'g2');
const actions = fc.subarray([...all]);
const ruleText = fc.record({ users: fc.subarray(['u1', 'u2']), groups: fc.subarray(['g1', 'g2']), actions });
const entryText = fc.record({
  policies: fc.array(ruleText, { maxLength: 3 }),
  defaultPolicy: actions,
  anonymousPolicy: actions,
});
const accessControls = fc.record({
  repositories: fc.dictionary(fc.constantFrom('**', 'a/*', 'a/**', 'a/b', '{a,b}/**', '*'), entryText),
  groups: fc.record({ g1: fc.record({ users: fc.subarray(['u1', 'u3']) }) }),
  adminPolicy: ruleText,
});

type Rules = typeof accessControls extends fc.Arbitrary<infer Value> ? Value : never;

function slowly(rules: Rules, identity: Identity, repo: string, action: Action): boolean {
  const patterns = Object.keys(rules.repositories).filter((pattern) => compileGlob(pattern).matches(repo));
  const entry = rules.repositories[patterns.toSorted(comparePatterns)[0] ?? ''];
  const groups = [...identity.groups, ...(rules.groups.g1.users.includes(identity.username) ? ['g1'] : [])];
  const names = (rule: { users: string[]; groups: string[]; actions: Action[] }): boolean =>
    rule.actions.includes(action) &&
    (rule.users.includes(identity.username) || rule.groups.some((one) => groups.includes(one)));
  if (identity.method === 'none') return entry?.anonymousPolicy.includes(action) === true;
  const own = entry?.policies.some(names) === true || entry?.defaultPolicy.includes(action) === true;
  return own || names(rules.adminPolicy);
}

/** The verdict that the steps of an explanation come to, which must be the one it states. */
function explainedAs(policy: Policy, rules: Rules, asked: Asked): boolean {
  const question = { ...asked, repo: parseRepoName(asked.repo), request, reference: '' };
  const explanation = explain(policy, accessControlOf(rules), question);
  const granted = explanation.steps.at(-1)?.outcome === 'grants';
  assert.equal(explanation.allowed, granted);
  assert.equal(explanation.decidedBy !== null, granted);
  assert.equal(explanation.hints.length > 0, !granted);
  return granted;
}

test('compiled rules decide as the rules read one by one', () => {
  const identities = fc.oneof(
    fc.constant(ANONYMOUS),
    fc.tuple(name, fc.uniqueArray(group)).map(([username, groups]) => user(username, groups)),
  );
  fc.assert(
    fc.property(
      accessControls,
      identities,
      fc.constantFrom('a', 'a/b', 'a/c', 'b/x/y', 'z'),
      (rules, identity, repo) => {
        const policy = policyOf(rules);
        for (const action of all) {
          const expected = slowly(rules, identity, repo, action);
          assert.equal(may(policy, identity, repo, action), expected);
          assert.equal(explainedAs(policy, rules, { identity, repo, action }), expected);
        }
      },
    ),
    { numRuns: 500 },
  );
});
