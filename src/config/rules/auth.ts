import { givenAt, regexFault, type Rule, type RuleContext } from './rule-context.ts';
import type { ConfigDraft } from '../schema/schema.ts';

/** Checks of `http.auth`: every way to sign in must be whole. Half of one would leave the registry open. */

const authPath = ['http', 'auth'];

export const checkHtpasswd: Rule = ({ config, report }) => {
  if (config.http.auth.htpasswd?.path !== '') return;
  const message =
    'htpasswd.path is missing: nobody would have to sign in; name the password file, or remove "htpasswd"';
  report.error([...authPath, 'htpasswd', 'path'], message);
};

export const checkLdap: Rule = ({ config, report }) => {
  const { ldap } = config.http.auth;
  if (ldap === undefined) return;
  const mandatory = [
    ['userAttribute', 'userAttribute'],
    ['address', 'address'],
    ['baseDN', 'basedn'],
  ] as const;
  for (const [name, shown] of mandatory) {
    if (ldap[name] !== '') continue;
    const message = `invalid LDAP configuration: invalid LDAP configuration, missing mandatory key: ${shown}`;
    report.error([...authPath, 'ldap', name], message);
  }
  if (ldap.port < 0 || ldap.port > 65_535)
    report.error([...authPath, 'ldap', 'port'], `invalid LDAP port ${ldap.port}`);
  else if (ldap.port === 0)
    report.warn([...authPath, 'ldap', 'port'], 'LDAP port has no default: write 389 or 636');
};

/** zot's names of identity attributes, by lower case, and what each reads. */
const attributeKinds = new Map([
  ['commonname', 'subject'],
  ['cn', 'subject'],
  ['subject', 'subject'],
  ['dn', 'subject'],
  ['email', 'Email'],
  ['rfc822name', 'Email'],
  ['uri', 'URI/URL'],
  ['url', 'URI/URL'],
  ['dnsname', 'DNSName'],
  ['dns', 'DNSName'],
]);

export const checkMtls: Rule = ({ config, report }) => {
  const { mtls } = config.http.auth;
  if (mtls === undefined) return;
  const path = [...authPath, 'mtls'];
  const { tls } = config.http;
  if (tls === undefined || tls.cert === '' || tls.key === '' || tls.cacert === '') {
    report.error(path, 'mTLS configuration requires TLS to be enabled with CA certificate');
  }
  const kinds = mtls.identityAttributes.map((name) => attributeKinds.get(name.trim().toLowerCase()));
  if (kinds.includes(undefined)) {
    const known = 'known are CommonName, Subject, Email, URI and DNSName';
    const message = `unsupported identity attribute: ${mtls.identityAttributes.join(', ')}; ${known}`;
    report.error([...path, 'identityAttributes'], message);
  }
  const needs = (
    name: 'dnsSanIndex' | 'emailSanIndex' | 'uriSanIndex' | 'uriSanPattern',
    kind: string,
  ): void => {
    if (mtls[name] === 0 || mtls[name] === '' || kinds.includes(kind)) return;
    report.error([...path, name], `${name} is only supported for ${kind} MTLS identity attribute`);
  };
  needs('dnsSanIndex', 'DNSName');
  needs('emailSanIndex', 'Email');
  needs('uriSanIndex', 'URI/URL');
  needs('uriSanPattern', 'URI/URL');
  const fault = mtls.uriSanPattern === '' ? null : regexFault(mtls.uriSanPattern);
  if (fault !== null)
    report.error([...path, 'uriSanPattern'], `invalid URI SAN pattern: ${mtls.uriSanPattern}: ${fault}`);
};

type Provider = NonNullable<ConfigDraft['http']['auth']['openid']>['providers'][string];

export const checkOpenid: Rule = (context) => {
  const { openid } = context.config.http.auth;
  for (const [name, provider] of Object.entries(openid?.providers ?? {}))
    checkProvider(context, name, provider);
};

function checkProvider({ report }: RuleContext, name: string, provider: Provider): void {
  const path = [...authPath, 'openid', 'providers', name];
  if (provider.credentialsFile === '' && provider.clientid + provider.clientsecret !== '') {
    const use = 'use the new OpenID provider credentialsfile instead of clientid and clientsecret.';
    report.warn(path, `deprecated: ${use}`);
  }
  const hasClient = provider.clientid !== '' && provider.scopes.length > 0;
  switch (name.toLowerCase()) {
    case 'google':
    case 'gitlab':
    case 'oidc':
      if (hasClient && provider.issuer !== '') return;
      report.error(path, 'OpenID provider config requires clientid, issuer and scopes parameters');
      return;
    case 'github':
      if (!hasClient) report.error(path, 'OAuth2 provider config requires clientid and scopes parameters');
      if ((provider.authurl === '') === (provider.tokenurl === '')) return;
      report.error(path, '"authurl" and "tokenurl" are needed both, or none');
      return;
    default: {
      const known = 'known are google, gitlab, oidc and github';
      report.error(path, `unsupported openid/oauth2 provider: "${name}"; ${known}`);
    }
  }
}

export const checkSessionDriver: Rule = ({ config, report }) => {
  const { sessionDriver, sessionKeysFile } = config.http.auth;
  if (sessionDriver?.name !== 'redis' || sessionKeysFile === '') return;
  const message = 'session keys not supported when redis session driver is used!';
  report.error([...authPath, 'sessionKeysFile'], `${message} Remove one of the two`);
};

/** zot ignores the other ways to sign in as soon as tokens are accepted; here all of them work. */
export const warnOfMethodsBesideTokens: Rule = (context) => {
  const { auth } = context.config.http;
  if (auth.bearer === undefined) return;
  const isApikeyGiven = auth.apikey && givenAt(context, [...authPath, 'apikey']) !== undefined;
  const others = (['htpasswd', 'ldap', 'openid', 'mtls'] as const).filter((name) => auth[name] !== undefined);
  for (const name of [...others, ...(isApikeyGiven ? ['apikey'] : [])]) {
    context.report.warn([...authPath, name], `${name} works beside "bearer"; zot would ignore it`);
  }
};
