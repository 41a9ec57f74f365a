import { describe } from 'node:test';
import { itRefuses, auth, http, storage, tls } from './config-rows.ts';

const mtlsTls = { ...tls, cacert: 'a' };

const noUsers = new RegExp(
  '^access control config requires one of htpasswd, ldap, openid or mTLS authentication ' +
    "or using only 'anonymousPolicy' policies$",
);

describe('a configuration is refused for', () => {
  itRefuses([
    ['a port that is no number', http({ port: 'x' }), 'http.port', /^invalid port x/],
    ['a port below the range', http({ port: -1 }), 'http.port', /^invalid port -1/],
    ['a port above the range', http({ port: '65536' }), 'http.port', /^invalid port 65536/],
    ['a port with a fraction', http({ port: 80.5 }), 'http.port', /^invalid port 80\.5/],
    ['a certificate without a key', http({ tls: { cert: 'c' } }), 'http.tls.key', /HTTPS needs both/],
    ['a key without a certificate', http({ tls: { key: 'k' } }), 'http.tls.cert', /HTTPS needs both/],
    [
      'authorities without a certificate',
      http({ tls: { cacert: 'a' } }),
      'http.tls.cert',
      /client certificates/,
    ],
    ['no worker', http({ workers: 0 }), 'http.workers', /from 1 on/],
    [
      'a proxy that is no range',
      http({ trustedProxies: ['10.0.0.0/33'] }),
      'http.trustedProxies[0]',
      /no address range/,
    ],
    ['a negative grace', http({ shutdownGrace: '-1s' }), 'http.shutdownGrace', /negative/],
    ['a size that is none', http({ maxManifestSize: '4 apples' }), 'http.maxManifestSize', /a size such as/],
    [
      'LDAP without an attribute',
      auth({ ldap: { address: 'a', baseDN: 'b', port: 389 } }),
      'http.auth.ldap.userAttribute',
      /^invalid LDAP configuration: invalid LDAP configuration, missing mandatory key: userAttribute$/,
    ],
    [
      'LDAP without an address',
      auth({ ldap: { userAttribute: 'uid', baseDN: 'b', port: 389 } }),
      'http.auth.ldap.address',
      /missing mandatory key: address$/,
    ],
    [
      'LDAP without a base',
      auth({ ldap: { userAttribute: 'uid', address: 'a', port: 389 } }),
      'http.auth.ldap.baseDN',
      /missing mandatory key: basedn$/,
    ],
    [
      'a password file without a path',
      auth({ htpasswd: {} }),
      'http.auth.htpasswd.path',
      /nobody would have to sign in/,
    ],
    [
      'mTLS without authorities',
      { ...http({ tls, auth: { mtls: {} } }) },
      'http.auth.mtls',
      /^mTLS configuration requires TLS to be enabled with CA certificate/,
    ],
    [
      'an unknown identity attribute',
      http({ tls: mtlsTls, auth: { mtls: { identityAttributes: ['Shoe'] } } }),
      'http.auth.mtls.identityAttributes',
      /^unsupported identity attribute: Shoe/,
    ],
    [
      'a pattern of URIs without URI',
      http({ tls: mtlsTls, auth: { mtls: { uriSanPattern: 'a' } } }),
      'http.auth.mtls.uriSanPattern',
      /is only supported for URI\/URL MTLS identity attribute/,
    ],
    [
      'an index of URIs without URI',
      http({ tls: mtlsTls, auth: { mtls: { uriSanIndex: 1 } } }),
      'http.auth.mtls.uriSanIndex',
      /is only supported for URI\/URL MTLS identity attribute/,
    ],
    [
      'an index of DNS names without DNSName',
      http({ tls: mtlsTls, auth: { mtls: { dnsSanIndex: 1 } } }),
      'http.auth.mtls.dnsSanIndex',
      /is only supported for DNSName/,
    ],
    [
      'an index of addresses without Email',
      http({ tls: mtlsTls, auth: { mtls: { emailSanIndex: 1 } } }),
      'http.auth.mtls.emailSanIndex',
      /is only supported for Email/,
    ],
    [
      'a bad pattern of URIs',
      http({ tls: mtlsTls, auth: { mtls: { identityAttributes: [' uri '], uriSanPattern: '(' } } }),
      'http.auth.mtls.uriSanPattern',
      /^invalid URI SAN pattern: \(/,
    ],
    [
      'an unknown provider',
      auth({ openid: { providers: { dex: { clientid: 'c', issuer: 'i', scopes: ['s'] } } } }),
      'http.auth.openid.providers.dex',
      /^unsupported openid\/oauth2 provider/,
    ],
    [
      'a provider without an issuer',
      auth({ openid: { providers: { oidc: { clientid: 'c', scopes: ['s'] } } } }),
      'http.auth.openid.providers.oidc',
      /^OpenID provider config requires clientid, issuer and scopes parameters/,
    ],
    [
      'github without scopes',
      auth({ openid: { providers: { github: { clientid: 'c' } } } }),
      'http.auth.openid.providers.github',
      /^OAuth2 provider config requires clientid and scopes parameters/,
    ],
    [
      'github with half of its addresses',
      auth({ openid: { providers: { github: { clientid: 'c', scopes: ['s'], authurl: 'https://a' } } } }),
      'http.auth.openid.providers.github',
      /needed both/,
    ],
    [
      'a session driver without a name',
      auth({ sessionDriver: { url: 'redis://a' } }),
      'http.auth.sessionDriver.name',
      /^must provide session driver name!/,
    ],
    [
      'an unknown session driver',
      auth({ sessionDriver: { name: 'files' } }),
      'http.auth.sessionDriver.name',
      /^session store driver "files" is not allowed!/,
    ],
    [
      'tokens without a service',
      auth({ bearer: { realm: 'r', cert: 'c' } }),
      'http.auth.bearer.service',
      /bearer service is missing/,
    ],
    [
      'tokens without anything',
      auth({ bearer: {} }),
      'http.auth.bearer.realm',
      /nobody would have to sign in/,
    ],
    [
      'tokens with two sources of keys',
      auth({
        bearer: { realm: 'r', service: 's', cert: 'c', awsSecretsManager: { region: 'r', secretName: 's' } },
      }),
      'http.auth.bearer.awsSecretsManager',
      /^cannot configure both cert and awsSecretsManager for bearer authentication/,
    ],
    [
      'a secret without a region',
      auth({ bearer: { realm: 'r', service: 's', awsSecretsManager: { secretName: 's' } } }),
      'http.auth.bearer.awsSecretsManager.region',
      /^awsSecretsManager region must be specified/,
    ],
    [
      'a secret without a name',
      auth({ bearer: { realm: 'r', service: 's', awsSecretsManager: { region: 'r' } } }),
      'http.auth.bearer.awsSecretsManager.secretName',
      /^awsSecretsManager secretName must be specified/,
    ],
    [
      'a secret with a negative interval',
      auth({
        bearer: {
          realm: 'r',
          service: 's',
          awsSecretsManager: { region: 'r', secretName: 's', refreshInterval: '-1s' },
        },
      }),
      'http.auth.bearer.awsSecretsManager.refreshInterval',
      /^awsSecretsManager refreshInterval must be non-negative/,
    ],
    [
      'half of an upstream',
      auth({
        bearer: { realm: 'r', service: 's', cert: 'c', upstreamTokenEndpoint: { realm: 'https://a' } },
      }),
      'http.auth.bearer.upstreamTokenEndpoint',
      /^upstreamTokenEndpoint.realm and upstreamTokenEndpoint.service must be configured together/,
    ],
    [
      'an upstream that is no address',
      auth({
        bearer: { realm: 'r', service: 's', cert: 'c', upstreamTokenEndpoint: { realm: 'a', service: 's' } },
      }),
      'http.auth.bearer.upstreamTokenEndpoint.realm',
      /absolute URL/,
    ],
    [
      'an upstream in clear',
      auth({
        bearer: {
          realm: 'r',
          service: 's',
          cert: 'c',
          upstreamTokenEndpoint: { realm: 'http://a', service: 's' },
        },
      }),
      'http.auth.bearer.upstreamTokenEndpoint.realm',
      /^upstreamTokenEndpoint.realm must use https unless upstreamTokenEndpoint.allowInsecureHttp is true/,
    ],
    [
      'an issuer without audiences',
      auth({ bearer: { oidc: [{ issuer: 'i' }] } }),
      'http.auth.bearer.oidc[0].audiences',
      /audiences is missing/,
    ],
    [
      'an issuer with two authorities',
      auth({
        bearer: {
          oidc: [{ issuer: 'i', audiences: ['a'], certificateAuthority: 'a', certificateAuthorityFile: 'b' }],
        },
      }),
      'http.auth.bearer.oidc[0]',
      /not both/,
    ],
    [
      'rules about users without users',
      http({ accessControl: { repositories: { '**': { defaultPolicy: ['read'] } } } }),
      'http.accessControl',
      noUsers,
    ],
    [
      'empty rules without users',
      http({ accessControl: { repositories: { '**': {} } } }),
      'http.accessControl',
      /^access control config requires/,
    ],
    [
      'administrators without users',
      http({
        accessControl: {
          repositories: { '**': { anonymousPolicy: ['read'] } },
          adminPolicy: { users: ['root'], actions: ['read'] },
        },
      }),
      'http.accessControl',
      /^access control config requires/,
    ],
    [
      'a bad pattern',
      http({ accessControl: { repositories: { 'a{': { anonymousPolicy: ['read'] } } } }),
      'http.accessControl.repositories["a{"]',
      /^syntax error in pattern: failed to compile authorization pattern/,
    ],
    [
      'too few members',
      { ...storage({}), cluster: { hashKey: 'loremipsumdolors' } },
      'cluster.members',
      /^cannot have 0 members in a scale out cluster/,
    ],
    [
      'a short hash key',
      { ...storage({}), cluster: { members: ['a:1'], hashKey: 'short' } },
      'cluster.hashKey',
      /^hashKey for scale out cluster must have 16 characters/,
    ],
    [
      'negative workers',
      { ...storage({}), scheduler: { numWorkers: -1 } },
      'scheduler.numWorkers',
      /negative/,
    ],
    [
      'inline LDAP credentials',
      auth({ ldap: { address: 'a', port: 1, userAttribute: 'u', baseDN: 'b', bindDN: 'x' } }),
      'http.auth.ldap.bindDN',
      /credentialsFile/,
    ],
    [
      'patterns directly in accessControl',
      http({ accessControl: { '**': { anonymousPolicy: ['read'] } } }),
      'http.accessControl["**"]',
      /under "repositories"/,
    ],
    ['allowReadAccess', http({ allowReadAccess: true }), 'http.allowReadAccess', /anonymousPolicy/],
    ['readOnly of old', http({ readOnly: true }), 'http.readOnly', /storage\.readOnly/],
    ['an unknown key', { http: { prot: 1 } }, 'http.prot', /did you mean "port"/],
    [
      'keys that differ only in case',
      { http: { Port: 1, port: 2 } },
      'http.Port',
      /"Port" and "port" differ only in case/,
    ],
    [
      'names that differ only in case',
      http({
        accessControl: {
          repositories: { '**': { anonymousPolicy: ['read'] } },
          groups: { Ops: {}, ops: {} },
        },
      }),
      'http.accessControl.groups.ops',
      /"Ops" and "ops" differ only in case/,
    ],
  ]);
});
