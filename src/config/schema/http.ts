import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { duration, integer, key, port, seconds, section, size, text, textList } from './key.ts';
import { accessControlSection } from './access-control.ts';
import { authSection } from './auth.ts';

const mebibyte = 1_048_576;

const tls = () =>
  section({
    cert: key(text().default(''), 'The certificate, PEM. Changes of the file are picked up.', { file: true }),
    key: key(text().default(''), 'The private key of the certificate, PEM.', { file: true }),
    cacert: key(
      text().default(''),
      'Authorities of client certificates, PEM: switches on sign-in by certificate.',
      {
        file: true,
      },
    ),
    clientAuth: key(
      text().default(''),
      'With `cacert`: `require` refuses connections without a certificate, also of health checks.',
      { ours: true, defaultText: 'certificates are verified if they are shown' },
    ),
  });

const rateLimit = () =>
  section({
    rate: key(integer().optional(), 'Requests per second of one address (of IPv6: one /64).', {
      defaultText: 'no limit',
    }),
    perUser: key(integer().optional(), 'Requests per second of one user who has signed in.', {
      ours: true,
      defaultText: 'no limit',
    }),
    methods: key(
      z
        .array(
          section({
            method: key(text().default(''), 'The HTTP method.'),
            rate: key(integer().default(0), 'Requests per second of this method.'),
          }),
        )
        .default([]),
      'Limits of single methods.',
    ),
  });

/** Keys that zot does not have. */
const ownKeys = () => ({
  workers: key(integer().default(availableParallelism()), 'How many processes serve requests; at least 1.', {
    ours: true,
    defaultText: 'the number of cores',
  }),
  maxManifestSize: key(size().default(4 * mebibyte), 'The largest manifest that may be pushed.', {
    ours: true,
  }),
  shutdownGrace: key(
    duration().default(seconds(30)),
    'How long running requests may take to finish at shutdown.',
    {
      ours: true,
    },
  ),
  idleTimeout: key(
    duration().default(seconds(60)),
    'A request or answer whose body makes no progress for this long is cut off.',
    { ours: true },
  ),
  trustedProxies: key(
    textList().default([]),
    'Address ranges (CIDR) of proxies whose forwarding headers are believed.',
    { ours: true, reloadable: true },
  ),
});

const progressDoc =
  'limits the time without progress, never the whole transfer (zot covers the whole body). 0 is no limit.';

/** `http`: how the registry is reached, and by whom. */
export const httpSection = () =>
  section({
    address: key(
      text().default('127.0.0.1'),
      'The address to listen on, or `unix:/path/to.sock` for a socket file.',
    ),
    port: key(port().default(8080), 'The port to listen on; 0 lets the kernel choose.'),
    realm: key(text().default(''), 'The realm of the Basic challenge.', {
      defaultText: '`Authorization Required`',
    }),
    externalUrl: key(text().default(''), 'The origin under which users reach the registry.', {
      defaultText: 'made of address and port',
    }),
    allowOrigin: key(text().default(''), 'Sent as `Access-Control-Allow-Origin`.', { defaultText: '`*`' }),
    readTimeout: key(duration().default(seconds(60)), `Receiving a request: ${progressDoc}`),
    writeTimeout: key(duration().default(seconds(60)), `Sending an answer: ${progressDoc}`),
    tls: key(tls().optional(), 'Serve HTTPS (TLS 1.2 and newer). Needs both `cert` and `key`.'),
    auth: key(authSection().prefault({}), 'How users sign in.', { reloadable: true }),
    accessControl: key(accessControlSection().optional(), 'What users may do. Absent: everything.', {
      reloadable: true,
    }),
    ratelimit: key(rateLimit().optional(), 'How many requests per second are answered; others get 429.', {
      reloadable: true,
    }),
    compat: key(textList().default([]), '`docker2s2` accepts the media types of Docker version 2, schema 2.'),
    ...ownKeys(),
  });
