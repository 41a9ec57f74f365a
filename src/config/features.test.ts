import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromObject, defaultConfig, features, unsupportedSections } from './config.ts';

const none: ReadonlySet<string> = new Set();
const s3 = { name: 's3', bucket: 'b', region: 'r' };
const policy = { users: ['a'], actions: ['read'], conditions: [{ expression: 'true' }] };
const certificate = { cert: 'c', key: 'k', cacert: 'a' };

/** For each feature a configuration that asks for it, and the place where it does. */
const uses: readonly (readonly [feature: string, object: object, path: string])[] = [
  ['auth.htpasswd', { http: { auth: { htpasswd: { path: 'p' } } } }, 'http.auth.htpasswd'],
  [
    'auth.ldap',
    { http: { auth: { ldap: { address: 'a', port: 1, baseDN: 'b', userAttribute: 'u' } } } },
    'http.auth.ldap',
  ],
  [
    'auth.openid',
    { http: { auth: { openid: { providers: { github: { clientid: 'c', scopes: ['s'] } } } } } },
    'http.auth.openid',
  ],
  ['auth.apikey', { http: { auth: { apikey: true } } }, 'http.auth.apikey'],
  [
    'auth.bearer',
    { http: { auth: { bearer: { realm: 'r', service: 's', cert: 'c' } } } },
    'http.auth.bearer',
  ],
  [
    'auth.bearer.oidc',
    { http: { auth: { bearer: { oidc: [{ issuer: 'i', audiences: ['a'] }] } } } },
    'http.auth.bearer.oidc',
  ],
  [
    'auth.bearer.aws',
    {
      http: {
        auth: { bearer: { realm: 'r', service: 's', awsSecretsManager: { region: 'r', secretName: 's' } } },
      },
    },
    'http.auth.bearer.awsSecretsManager',
  ],
  ['auth.mtls', { http: { tls: certificate, auth: { mtls: {} } } }, 'http.auth.mtls'],
  ['auth.mtls', { http: { tls: certificate } }, 'http.tls.cacert'],
  [
    'auth.sessions.redis',
    { http: { auth: { sessionDriver: { name: 'redis' } } } },
    'http.auth.sessionDriver',
  ],
  ['auth.failDelay', { http: { auth: { failDelay: 1 } } }, 'http.auth.failDelay'],
  [
    'accessControl',
    { http: { accessControl: { repositories: { '**': { anonymousPolicy: ['read'] } } } } },
    'http.accessControl',
  ],
  [
    'accessControl.conditions',
    { http: { auth: { apikey: true }, accessControl: { repositories: { '**': { policies: [policy] } } } } },
    'http.accessControl',
  ],
  ['ratelimit', { http: { ratelimit: { rate: 5 } } }, 'http.ratelimit'],
  ['audit', { log: { audit: 'a.log' } }, 'log.audit'],
  ['maxRepos', { storage: { maxRepos: 5 } }, 'storage.maxRepos'],
  ['storageDriver.s3', { storage: { dedupe: false, storageDriver: s3 } }, 'storage.storageDriver'],
  [
    'storageDriver.s3',
    { storage: { subPaths: { '/a': { storageDriver: s3 } } } },
    'storage.subPaths["/a"].storageDriver',
  ],
  [
    'storageDriver.gcs',
    { storage: { dedupe: false, storageDriver: { name: 'gcs', bucket: 'b' } } },
    'storage.storageDriver',
  ],
  [
    'storageDriver.azure',
    { storage: { dedupe: false, storageDriver: { name: 'azure', accountname: 'a', container: 'c' } } },
    'storage.storageDriver',
  ],
  [
    'cacheDriver.redis',
    { storage: { remoteCache: true, cacheDriver: { name: 'redis' } } },
    'storage.cacheDriver',
  ],
  [
    'cacheDriver.dynamodb',
    { storage: { storageDriver: s3, cacheDriver: { name: 'dynamodb', cacheTablename: 't' } } },
    'storage.cacheDriver',
  ],
  ['cluster', { cluster: { members: ['a:1', 'b:1'], hashKey: 'loremipsumdolors' } }, 'cluster'],
  ['gc', {}, 'storage.gc'],
  ['dedupe', {}, 'storage.dedupe'],
  ['retention', { storage: { retention: {} } }, 'storage.retention'],
  ['undo', { storage: { undo: '24h' } }, 'storage.undo'],
  ['immutableTags', { storage: { immutableTags: [{ repositories: ['**'] }] } }, 'storage.immutableTags'],
  [
    'redirectBlobURL',
    { storage: { dedupe: false, redirectBlobURL: true, storageDriver: s3 } },
    'storage.redirectBlobURL',
  ],
  ['search', { extensions: { search: {} } }, 'extensions.search'],
  ['search.cve', { extensions: { search: { cve: { updateInterval: '2h' } } } }, 'extensions.search.cve'],
  ['ui', { extensions: { search: {}, ui: {} } }, 'extensions.ui'],
  ['metrics', { extensions: { metrics: {} } }, 'extensions.metrics'],
  ['scrub', { extensions: { scrub: {} } }, 'extensions.scrub'],
  ['lint', { extensions: { lint: {} } }, 'extensions.lint'],
  ['trust', { extensions: { trust: {} } }, 'extensions.trust'],
  ['events', { extensions: { events: { enable: true } } }, 'extensions.events'],
  ['sync', { extensions: { sync: {} } }, 'extensions.sync'],
];

describe('a build without a feature', () => {
  for (const [feature, object, path] of uses) {
    it(`names ${feature} at ${path}`, () => {
      const { config } = configFromObject(object);
      const found = unsupportedSections(config, none).find(
        (entry) => entry.feature === feature && entry.path === path,
      );
      assert.ok(found);
      const rest = unsupportedSections(config, new Set([feature]));
      assert.equal(
        rest.some((entry) => entry.feature === feature),
        false,
      );
    });
  }

  it('is tried with every feature there is', () => {
    assert.deepEqual(
      [...new Set(uses.map(([feature]) => feature))].sort(),
      features.map(({ name }) => name).sort(),
    );
  });

  it('names what weakens security', () => {
    const { config } = configFromObject({
      http: { auth: { htpasswd: { path: 'p' } } },
      extensions: { search: {} },
    });
    const weak = unsupportedSections(config, none).filter(({ weakensSecurity }) => weakensSecurity);
    assert.deepEqual(
      weak.map(({ path, message }) => [path, message]),
      [['http.auth.htpasswd', 'this build lacks sign-in with a password file']],
    );
  });

  it('serves the default configuration: only gc, dedupe and undo are missed', () => {
    const missed = unsupportedSections(defaultConfig(), none);
    assert.deepEqual(
      missed.map(({ feature, weakensSecurity }) => [feature, weakensSecurity]),
      [
        ['gc', false],
        ['dedupe', false],
        ['undo', false],
      ],
    );
  });

  it('does not miss extensions that are switched off', () => {
    const off = {
      search: { enable: false },
      ui: { enable: false },
      metrics: { enable: false },
      scrub: { enable: false },
      sync: { enable: false },
      trust: { enable: false },
      lint: { enable: false },
      events: {},
    };
    const missed = unsupportedSections(configFromObject({ extensions: off }).config, none);
    assert.deepEqual(
      missed.filter(({ path }) => path.startsWith('extensions')),
      [],
    );
  });
});
