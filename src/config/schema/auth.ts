import { z } from 'zod';
import { choice, duration, flag, integer, key, minutes, section, text, textList } from './key.ts';
import { sessionDriver } from './drivers.ts';

const ldap = () =>
  section({
    address: key(text().default(''), 'The host name of the server. Required.'),
    port: key(integer().default(0), 'The port; usually 389, or 636 for LDAPS. There is no default.'),
    insecure: key(flag().default(false), 'Connect without TLS. False is LDAPS, whatever the port.'),
    startTLS: key(flag().default(false), 'With `insecure`: turn the plain connection into a TLS one.'),
    skipVerify: key(flag().default(false), 'Do not verify the certificate of the server.'),
    subtreeSearch: key(flag().default(false), 'Search users in the whole tree below `baseDN`.'),
    baseDN: key(text().default(''), 'Where users are searched. Required.'),
    userAttribute: key(text().default(''), 'The attribute that holds the name of the user. Required.'),
    userFilter: key(text().default(''), 'A filter that users must match, too.'),
    userGroupAttribute: key(text().default(''), 'The attribute that holds the groups of the user.'),
    cacert: key(text().default(''), 'Authorities for the certificate of the server, PEM.', {
      file: true,
      defaultText: 'those of the system',
    }),
    credentialsFile: key(text().default(''), 'A file with `bindDN` and `bindPassword`.', {
      reloadable: true,
      defaultText: 'none: anonymous search',
    }),
    bindDN: key(text().default(''), 'Read from `credentialsFile`.', { secret: true, internal: true }),
    bindPassword: key(text().default(''), 'Read from `credentialsFile`.', { secret: true, internal: true }),
  });

const openidProvider = () =>
  section({
    credentialsFile: key(
      text().default(''),
      'A file with `clientid` and `clientsecret`; it wins over inline values.',
    ),
    name: key(text().default(''), 'The name that users see.'),
    clientid: key(text().default(''), 'The client id. Better kept in `credentialsFile`.'),
    clientsecret: key(
      text().default(''),
      'The client secret; empty means PKCE. Better kept in `credentialsFile`.',
      {
        secret: true,
      },
    ),
    keypath: key(text().default(''), 'Accepted as in zot.'),
    issuer: key(text().default(''), 'The issuer. Required, except for github.'),
    authurl: key(text().default(''), 'github only, together with `tokenurl`: where users sign in.'),
    tokenurl: key(
      text().default(''),
      'github only, together with `authurl`: where codes are changed for tokens.',
    ),
    apiurl: key(text().default(''), 'github only: where users, organizations and teams are asked for.', {
      ours: true,
      defaultText: '`https://api.github.com`, or `/api/v3` at the host of `authurl`',
    }),
    allowUnverifiedEmail: key(
      flag().default(false),
      'Accept an e-mail address as the user although the provider says that it is not verified.',
      { ours: true },
    ),
    scopes: key(textList().default([]), 'The scopes to ask for. Required.'),
    claimMapping: key(
      section({
        username: key(text().default('email'), 'The claim that names the user.', { reloadable: true }),
        groups: key(text().default('groups'), 'The claim that lists the groups.', { reloadable: true }),
      }).optional(),
      'Which claims name the user and the groups.',
    ),
  });

const openid = () =>
  section({
    callbackAllowOrigins: key(textList().default([]), 'Origins to which users may be sent back.', {
      reloadable: true,
    }),
    providers: key(
      z.record(z.string(), openidProvider()).default({}),
      'Providers by name: `google`, `gitlab`, `oidc` or `github`.',
    ),
  });

const awsSecretsManager = () =>
  section({
    region: key(text().default(''), 'The region. Required.'),
    secretName: key(text().default(''), 'The name of the secret. Required.'),
    refreshInterval: key(duration().default(minutes(1)), 'How often the secret is read again.'),
  });

const upstreamTokenEndpoint = () =>
  section({
    realm: key(text().default(''), 'The address of the token service; https unless `allowInsecureHttp`.'),
    service: key(text().default(''), 'The name of the service there.'),
    allowInsecureHttp: key(flag().default(false), 'Permit a realm that starts with http.'),
  });

const oidcClaimMapping = () =>
  section({
    variables: key(
      z
        .array(
          section({
            name: key(text().default(''), 'The name of the variable.'),
            expression: key(text().default(''), 'The CEL expression of its value.'),
          }),
        )
        .default([]),
      'Variables for the expressions below.',
    ),
    validations: key(
      z
        .array(
          section({
            expression: key(text().default(''), 'A CEL expression that must be true.'),
            message: key(text().default(''), 'What the client is told when it is not.'),
          }),
        )
        .default([]),
      'What tokens must satisfy.',
    ),
    username: key(text().default(''), 'The CEL expression of the user.', {
      defaultText: "`claims.iss + '/' + claims.sub`",
    }),
    groups: key(text().default(''), 'The CEL expression of the groups.'),
  });

const bearerOidc = () =>
  section({
    issuer: key(text().default(''), 'The issuer whose tokens are accepted. Required.'),
    audiences: key(textList().default([]), 'The audiences that tokens may be for. Required.'),
    claimMapping: key(oidcClaimMapping().optional(), 'How claims become a user.'),
    certificateAuthority: key(
      text().default(''),
      'Authorities for the certificate of the issuer, PEM, inline.',
    ),
    certificateAuthorityFile: key(text().default(''), 'The same, as a file.', { file: true }),
    skipIssuerVerification: key(flag().default(false), 'Accept an issuer that differs from its address.'),
  });

const bearer = () =>
  section({
    realm: key(text().default(''), 'The address of the token service.'),
    service: key(text().default(''), 'The name of this registry there.'),
    cert: key(text().default(''), 'The certificate or public key that verifies tokens.', { file: true }),
    awsSecretsManager: key(awsSecretsManager().optional(), 'Read the keys from a secret instead of `cert`.'),
    upstreamTokenEndpoint: key(
      upstreamTokenEndpoint().optional(),
      'A token service to which clients are sent.',
    ),
    oidc: key(z.array(bearerOidc()).default([]), 'Issuers whose identity tokens are accepted directly.'),
    tokenClaims: key(
      choice(['stated', 'required', 'unchecked'], () => 'write "stated", "required" or "unchecked"').default(
        'stated',
      ),
      'What tokens of the token service must say. `stated`: an audience that a token names must be `service`. ' +
        '`required`: `aud` and `exp` must be there, too. `unchecked`: the audience is not looked at, as in zot.',
      { ours: true },
    ),
    issuers: key(textList().default([]), 'Who may have issued a token of the token service (`iss`).', {
      ours: true,
      defaultText: 'anybody who has the key, as in zot',
    }),
  });

const mtls = () =>
  section({
    identityAttributes: key(
      textList().default(['CommonName']),
      'Where the user stands in the certificate, in order: `CommonName`, `Subject`, `Email`, `URI`, `DNSName`.',
      { reloadable: true },
    ),
    uriSanPattern: key(text().default(''), 'An RE2 expression whose group is the user in a URI.', {
      reloadable: true,
    }),
    uriSanIndex: key(integer().default(0), 'Which URI is used.', { reloadable: true }),
    dnsSanIndex: key(integer().default(0), 'Which DNS name is used.', { reloadable: true }),
    emailSanIndex: key(integer().default(0), 'Which e-mail address is used.', { reloadable: true }),
  });

const sessionKeys = () => ({
  secureSession: key(flag().optional(), 'Mark cookies as `Secure`; with TLS they always are.', {
    reloadable: true,
  }),
  sessionKeysFile: key(text().default(''), 'A file with `hashKey` and `encryptKey` of cookies.', {
    defaultText: 'none: keys made at start',
  }),
  sessionHashKey: key(text().default(''), 'Signs cookies. Better kept in `sessionKeysFile`.', {
    secret: true,
  }),
  sessionEncryptKey: key(text().default(''), 'Encrypts cookies. Better kept in `sessionKeysFile`.', {
    secret: true,
  }),
  sessionDriver: key(sessionDriver().optional(), 'Where sessions are kept.', {
    defaultText: 'the local folder',
  }),
});

/** Our own token service. */
const tokenEndpoint = () =>
  section({
    enable: key(flag().default(false), 'Give out tokens at `/zot/auth/token`.', { ours: true }),
    lifetime: key(duration().default(minutes(5)), 'How long a token is good for: one second to a day.', {
      ours: true,
    }),
  });

/** `http.auth`: the ways to sign in. */
export const authSection = () =>
  section({
    failDelay: key(integer().default(0), 'Seconds to wait before a failed sign-in is answered.'),
    htpasswd: key(
      section({
        path: key(text().default(''), 'The password file. Changes of the file are picked up.', {
          file: true,
        }),
      }).optional(),
      'Sign in with a password file.',
      { reloadable: true },
    ),
    apikey: key(flag().default(false), 'Let users make API keys.', {
      reloadable: true,
      defaultText: '`false`; always `true` with `openid`',
    }),
    ...sessionKeys(),
    ldap: key(ldap().optional(), 'Sign in through an LDAP directory.'),
    openid: key(openid().optional(), 'Sign in through OpenID Connect, or GitHub.'),
    bearer: key(bearer().optional(), 'Accept tokens, beside the other ways to sign in.'),
    token: key(
      tokenEndpoint().optional(),
      'Clients sign in once, by whichever way, and send short-lived tokens from then on.',
      { ours: true },
    ),
    mtls: key(mtls().optional(), 'Sign in with client certificates; needs `http.tls` with `cacert`.'),
  });
