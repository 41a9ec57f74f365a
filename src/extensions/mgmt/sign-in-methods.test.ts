import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configFromObject, loadConfig } from '#config';
import { signInMethods } from './sign-in-methods.ts';

const examples = join(import.meta.dirname, '../../../test/compat/config');

/** What zot answers for the shapes of its own examples. */
const answers: Readonly<Record<string, unknown>> = {
  'minimal.json': {},
  'policies.json': { htpasswd: {}, allowAnonymousAccess: true },
  'ldap-with-groups.json': { htpasswd: {} },
  'bearer-token-service.json': {
    bearer: { realm: 'https://auth.example.com/token', service: 'registry.example.com' },
  },
  'openid.json': {
    openid: { providers: { github: {}, google: {}, gitlab: {}, oidc: { name: 'Company' } } },
    apikey: true,
  },
  'anonymous-only.json': { allowAnonymousAccess: true },
};

describe('the ways to sign in that are told to everybody', () => {
  for (const [name, expected] of Object.entries(answers)) {
    it(`are those of ${name}`, () => {
      // Paths in the examples are relative to the root of the repository.
      const before = process.cwd();
      process.chdir(join(examples, '../../..'));
      const { config } = loadConfig(join(examples, name));
      process.chdir(before);
      assert.deepEqual(signInMethods(config), expected);
    });
  }

  it('are all of them where several are on, as in zot’s description, and hold nothing secret', () => {
    const { config } = configFromObject({
      storage: { rootDirectory: '/data' },
      http: {
        auth: {
          htpasswd: { path: '/etc/passwords-of-all' },
          apikey: true,
          bearer: { realm: 'https://auth.myreg.io/auth/token', service: 'myauth', cert: '/etc/token.crt' },
          openid: {
            providers: {
              oidc: {
                clientid: 'an-id',
                clientsecret: 'a-secret',
                issuer: 'https://idp.x',
                scopes: ['openid'],
              },
            },
          },
        },
        accessControl: { repositories: { '**': { anonymousPolicy: [], defaultPolicy: ['read'] } } },
      },
    });
    const methods = signInMethods(config);
    assert.deepEqual(methods, {
      htpasswd: {},
      bearer: { realm: 'https://auth.myreg.io/auth/token', service: 'myauth' },
      openid: { providers: { oidc: {} } },
      apikey: true,
    });
    for (const hidden of ['an-id', 'a-secret', '/etc/', 'idp.x'])
      assert.ok(!JSON.stringify(methods).includes(hidden), hidden);
  });
});
