import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromObject, parseConfigText } from '#config';
import { auth, extensions, http, itWarns, oauth2, registry, remote, s3, storage } from './config-rows.ts';

const htpasswd = { path: 'users' };
const overlapping = (part: object): object => ({
  ...registry({ content: [{ prefix: '**', destination: '/mirror', ...part }] }),
  ...storage({
    retention: { policies: [{ repositories: ['mirror/**'], keepTags: [{ patterns: ['v.*'] }] }] },
  }),
});
const overlap =
  "retention policy can overlap with the sync config, make sure retention doesn't remove syncing images";
const content = 'extensions.sync.registries[0].content[0]';

describe('a configuration is accepted with a warning for', () => {
  itWarns([
    [
      'another version of the specification',
      { ...storage({}), distSpecVersion: '1.0.1' },
      'distSpecVersion',
      /^config dist-spec version differs from version actually used/,
    ],
    ['a bare number as a duration', storage({ gcDelay: 3600 }), 'storage.gcDelay', /means nanoseconds/],
    ['a delay while gc is off', storage({ gc: false, gcDelay: '1h' }), 'storage.gcDelay', /no effect/],
    [
      'an interval while gc is off',
      storage({ gc: false, gcInterval: '1h' }),
      'storage.gcInterval',
      /no effect/,
    ],
    [
      'a window while gc is off',
      storage({ gc: false, gcTimeWindow: '22:00-23:00' }),
      'storage.gcTimeWindow',
      /no effect/,
    ],
    [
      'a window of a sub-path while its gc is off',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/a', gcTimeWindow: '22:00-23:00' } } }),
      'storage.subPaths["/a"].gcTimeWindow',
      /no effect/,
    ],
    ['an empty root directory', { http: {} }, 'storage.rootDirectory', /is empty/],
    [
      'a route of two segments',
      storage({ subPaths: { '/a/b': { rootDirectory: '/srv/a' } } }),
      'storage.subPaths["/a/b"]',
      /no repository goes/,
    ],
    [
      'a route in capitals',
      storage({ subPaths: { '/Team': { rootDirectory: '/srv/a' } } }),
      'storage.subPaths["/Team"]',
      /the route is \/team/,
    ],
    [
      'a policy of retention for nothing',
      storage({ retention: { policies: [{ deleteReferrers: true }] } }),
      'storage.retention.policies[0].repositories',
      /\["\*\*"\] for all/,
    ],
    [
      'immutable tags of nothing',
      storage({ immutableTags: [{ tags: ['v.*'] }] }),
      'storage.immutableTags[0].repositories',
      /\["\*\*"\] for all/,
    ],
    [
      'untagged rules without effect',
      storage({
        retention: {
          policies: [{ repositories: ['**'], deleteUntagged: false, keepUntagged: { pushedWithin: '1h' } }],
        },
      }),
      'storage.retention.policies[0].keepUntagged',
      /no effect/,
    ],
    [
      'path style that is set by itself',
      storage({ dedupe: false, storageDriver: { ...s3, regionendpoint: 'http://a' } }),
      'storage.storageDriver',
      /^deprecated: automatically setting forcepathstyle to true for s3 storage driver\./,
    ],
    [
      'a database that is not used',
      storage({ remoteCache: false, cacheDriver: { name: 'redis' } }),
      'storage.cacheDriver',
      /no effect/,
    ],
    ['an empty driver', storage({ storageDriver: {} }), 'storage.storageDriver', /as if the key were absent/],
    ['a certificate section without one', http({ tls: {} }), 'http.tls', /plain HTTP/],
    ['an unknown word of compat', http({ compat: ['docker2s1'] }), 'http.compat[0]', /has no effect/],
    [
      'an external address with a path',
      http({ externalUrl: 'https://a.example/b' }),
      'http.externalUrl',
      /is not an origin/,
    ],
    [
      'LDAP without a port',
      auth({ ldap: { address: 'a', baseDN: 'b', userAttribute: 'u' } }),
      'http.auth.ldap.port',
      /389 or 636/,
    ],
    [
      'inline secrets of a client',
      auth({
        openid: { providers: { oidc: { clientid: 'c', clientsecret: 's', issuer: 'i', scopes: ['s'] } } },
      }),
      'http.auth.openid.providers.oidc',
      /^deprecated: use the new OpenID provider credentialsfile instead of clientid and clientsecret\./,
    ],
    [
      'passwords beside tokens',
      auth({ htpasswd, bearer: { realm: 'r', service: 's', cert: 'c' } }),
      'http.auth.htpasswd',
      /works beside "bearer"; zot would ignore it/,
    ],
    [
      'an upstream in clear that is permitted',
      auth({
        bearer: {
          realm: 'r',
          service: 's',
          cert: 'c',
          upstreamTokenEndpoint: { realm: 'http://a', service: 's', allowInsecureHttp: true },
        },
      }),
      'http.auth.bearer.upstreamTokenEndpoint.realm',
      /unencrypted/,
    ],
    [
      'a policy that is empty',
      http({ auth: { htpasswd }, accessControl: { repositories: { '**': {} } } }),
      'http.accessControl.repositories["**"]',
      /nobody may do anything there/,
    ],
    [
      'permissions that are empty',
      http({ auth: { htpasswd }, accessControl: {} }),
      'http.accessControl',
      /nobody may do anything/,
    ],
    [
      'a word that is no action',
      http({ auth: { htpasswd }, accessControl: { repositories: { '**': { defaultPolicy: ['raed'] } } } }),
      'http.accessControl.repositories["**"].defaultPolicy',
      /"raed" is no action/,
    ],
    [
      'a group in another case',
      http({
        auth: { htpasswd },
        accessControl: {
          groups: { Ops: { users: ['a'] } },
          repositories: { '**': { policies: [{ groups: ['ops'], actions: ['read'] }] } },
        },
      }),
      'http.accessControl.repositories["**"].policies[0].groups',
      /is written "Ops"/,
    ],
    [
      'an empty extension beside others',
      extensions({ search: { enable: true }, ui: {} }),
      'extensions.ui',
      /switches it on/,
    ],
    [
      'scanning that is empty',
      extensions({ search: { cve: {} } }),
      'extensions.search.cve',
      /switches scanning on/,
    ],
    [
      'too frequent updates',
      extensions({ search: { cve: { updateInterval: '1h' } } }),
      'extensions.search.cve.updateInterval',
      /^cve update interval set to too-short interval < 2h/,
    ],
    [
      'too frequent scrubbing',
      extensions({ scrub: { enable: false, interval: '1h' } }),
      'extensions.scrub.interval',
      /^scrub interval set to too-short interval < 2h/,
    ],
    [
      'an unknown format of SBOMs',
      extensions({ search: { cve: { trivy: { sbom: { format: 'xml' } } } } }),
      'extensions.search.cve.trivy.sbom.format',
      /"spdx-json" is used/,
    ],
    [
      'mgmt',
      extensions({ mgmt: { enable: true } }),
      'extensions.mgmt',
      /^mgmt extensions configuration option has been made redundant/,
    ],
    [
      'apikey',
      extensions({ apikey: { enable: true } }),
      'extensions.apikey',
      /^apikey extension configuration will be ignored/,
    ],
    [
      'an unknown key of a sink',
      extensions({ events: { sinks: [{ type: 'http', address: 'a', adress: 'b' }] } }),
      'extensions.events.sinks[0].adress',
      /^ignored: unknown key "adress"; did you mean "address"/,
    ],
    ['no addresses', registry({ urls: [] }), 'extensions.sync.registries[0].urls', /urls is empty/],
    [
      'a registry that is never copied',
      registry({ onDemand: false }),
      'extensions.sync.registries[0]',
      /nothing is ever copied/,
    ],
    [
      'polling for nothing',
      registry({ pollInterval: '1h' }),
      'extensions.sync.registries[0].pollInterval',
      /no effect without "content"/,
    ],
    [
      'an unknown helper',
      registry({ credentialHelper: 'magic' }),
      'extensions.sync.registries[0].credentialHelper',
      /nobody signs in/,
    ],
    [
      'an unknown key of a helper that is not used',
      registry({ oauth2CredentialHelper: { tokenUri: 'a' } }),
      'extensions.sync.registries[0].oauth2CredentialHelper.tokenUri',
      /^ignored: unknown key/,
    ],
    ['retention of what is copied', overlapping({}), content, new RegExp(`^${overlap}$`)],
    [
      'retention of some of what is copied',
      overlapping({ tags: { regex: '4.*' } }),
      content,
      new RegExp(`^${overlap} with next tag regex: 4\\.\\*$`),
    ],
  ]);

  it('but not for retention that keeps what is copied', () => {
    assert.deepEqual(configFromObject(overlapping({ tags: { regex: 'v.*' } })).warnings, []);
  });

  it('but not for the sound configurations below all rows', () => {
    for (const object of [storage({}), http({}), extensions({}), registry({}), oauth2({}), storage(remote)]) {
      assert.deepEqual(configFromObject(object).warnings, []);
    }
  });

  it('keys that stand twice in JSON, of which the last counts', () => {
    const { config, warnings } = parseConfigText('{"http": {"port": 1},\n "http": {"port": 2}}', 'json');
    assert.equal(config.http.port, 2);
    assert.equal(
      warnings.some(({ path, line }) => path === 'http' && line === 2),
      true,
    );
  });
});
