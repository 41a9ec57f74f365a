import { z } from 'zod';
import {
  decimal,
  duration,
  flag,
  hours,
  integer,
  key,
  lenientSection,
  seconds,
  section,
  text,
  textList,
} from './key.ts';

/** Unknown keys matter only where the helper is used; the rules look at them then. */
export const oauth2CredentialHelper = lenientSection({
  tokenURL: key(text().default(''), 'Where tokens are asked for. Required.'),
  assertionFile: key(text().default(''), 'A file with a signed assertion; or `signingFile`.', {
    file: true,
  }),
  signingFile: key(text().default(''), 'A file that says how to sign an assertion; or `assertionFile`.', {
    file: true,
  }),
  grantType: key(text().default('client_credentials'), 'The grant type.'),
  clientID: key(text().default(''), 'The client id.'),
  clientSecretFile: key(text().default(''), 'A file with the client secret.', { file: true }),
  scopes: key(textList().default([]), 'The scopes to ask for.'),
  username: key(text().default('<token>'), 'The user name that goes with the token.'),
  audience: key(text().default(''), 'The audience; required for, and only for, a token exchange.'),
  subjectTokenType: key(text().default(''), 'Token exchange only: the type of the token given, a URI.'),
  requestedTokenType: key(text().default(''), 'Token exchange only: the type of the token wanted, a URI.'),
});

const syncContent = () =>
  section({
    prefix: key(text().default(''), 'A glob of repositories there.'),
    tags: key(
      section({
        regex: key(text().optional(), 'An RE2 expression of tags to copy.'),
        excludeRegex: key(text().optional(), 'An RE2 expression of tags to leave out.'),
        semver: key(flag().optional(), 'Copy only tags that are semantic versions.'),
      }).optional(),
      'Which tags are copied.',
      { defaultText: 'all' },
    ),
    destination: key(text().default(''), 'Where the repositories go here.'),
    stripPrefix: key(flag().default(false), 'Leave the fixed part of `prefix` out of the name here.'),
  });

const pace = () => ({
  maxRetries: key(integer().optional(), 'How often a failed copy is tried again; needs `retryDelay`.'),
  retryDelay: key(duration().optional(), 'The pause before the first new try.'),
  maxRetryDelay: key(duration().optional(), 'The longest pause; at least `retryDelay`.', {
    defaultText: '`retryDelay`',
  }),
  syncTimeout: key(duration().default(hours(3)), 'How long one copy may take.'),
  responseHeaderTimeout: key(
    duration().default(seconds(30)),
    'How long the other registry may take to answer.',
  ),
  reqConcurrent: key(integer().default(3), 'Requests made at once.'),
  reqPerSec: key(decimal().optional(), 'Requests per second.', { defaultText: 'no limit' }),
  disableHTTP2: key(flag().default(false), 'Speak HTTP/1.1 only.'),
  maxIdleConnsPerHost: key(integer().default(2), 'Idle connections kept per host.', {
    defaultText: '2; `reqConcurrent` with `disableHTTP2`',
  }),
});

const syncRegistry = () =>
  section({
    urls: key(textList().default([]), 'Addresses of the registry; the first that works is used.'),
    onDemand: key(flag().default(false), 'Copy an image when a client asks for it.'),
    pollInterval: key(duration().default(0), 'How often the `content` is copied.', { defaultText: 'never' }),
    manifestCheckInterval: key(
      duration().default(0),
      'How long an image is served before it is compared again.',
    ),
    tlsVerify: key(flag().default(true), 'Verify the certificate of the registry.'),
    certDir: key(text().default(''), 'A folder with `*.crt`, `*.cert` and `*.key`.', { file: true }),
    ...pace(),
    onlySigned: key(flag().default(false), 'Copy only signed images.'),
    syncLegacyCosignTags: key(flag().default(true), 'Copy signatures that are kept under tags, too.'),
    preserveDigest: key(flag().default(false), 'Keep Docker manifests as they are; needs `http.compat`.'),
    credentialHelper: key(text().default(''), 'Where credentials come from: `ecr`, `gcp` or `oauth2`.', {
      defaultText: '`credentialsFile`',
    }),
    oauth2CredentialHelper: key(
      oauth2CredentialHelper.optional(),
      'How the helper `oauth2` gets its tokens.',
    ),
    content: key(z.array(syncContent()).default([]), 'What is copied.', {
      defaultText: 'on demand: everything',
    }),
  });

/** `extensions.sync`: copies of other registries. */
export const syncSection = () =>
  section({
    enable: key(flag().default(true), 'Whether images are copied.'),
    credentialsFile: key(text().default(''), 'A JSON file: host to `{"username", "password"}`.', {
      file: true,
    }),
    downloadDir: key(text().default(''), 'A folder for downloads; required with an object store.'),
    registries: key(z.array(syncRegistry()).default([]), 'The registries.'),
  });
