import { z } from 'zod';
import { driver, flag, integer, key, lenientSection, section, text, textList } from './key.ts';

/**
 * The parameters of object stores and of remote databases. zot takes these maps as they come and lets the
 * drivers ignore what they do not know; here each driver declares its keys, so that a misspelt `encrypt` is
 * an error.
 */

const quoted = (name: unknown): string => (typeof name === 'string' ? `"${name}"` : 'no name');

const driverName = <const N extends string>(name: N) => key(z.literal(name), 'Which driver this is.');
const optionalText = (doc: string) => key(text().optional(), doc);
const optionalFlag = (doc: string) => key(flag().optional(), doc);
const optionalInteger = (doc: string) => key(integer().optional(), doc);
const optionalSecret = (doc: string) => key(text().optional(), doc, { secret: true });

const s3 = section({
  name: driverName('s3'),
  bucket: key(text().default(''), 'The bucket. Required.'),
  region: key(text().default(''), 'The region. Required unless `regionendpoint` is given.'),
  regionendpoint: key(
    text().default(''),
    'The address of an S3-compatible store, such as `http://localhost:9000`.',
  ),
  forcepathstyle: key(flag().default(false), 'Address buckets by path instead of by host name.', {
    defaultText: '`false`; `true` where `regionendpoint` is given',
  }),
  accesskey: key(text().optional(), 'The access key id; absent means the credential chain of the SDK.', {
    secret: true,
  }),
  secretkey: optionalSecret('The secret access key.'),
  sessiontoken: optionalSecret('The session token that belongs to temporary keys. zot ignores it.'),
  encrypt: key(flag().default(false), 'Ask the store to encrypt objects.'),
  keyid: optionalText('The key of the key service with which objects are encrypted.'),
  secure: key(flag().default(true), 'Use https where `regionendpoint` names no scheme.'),
  skipverify: key(flag().default(false), 'Do not verify the certificate of the store.'),
  v4auth: key(flag().default(true), 'Sign requests with version 4 of the signature.'),
  chunksize: key(integer().default(10_485_760), 'Bytes of one part of a multipart upload; at least 5 MiB.'),
  multipartcopychunksize: key(integer().default(33_554_432), 'Bytes of one part of a multipart copy.'),
  multipartcopymaxconcurrency: key(integer().default(100), 'Parts copied at once.'),
  multipartcopythresholdsize: key(
    integer().default(33_554_432),
    'Objects above this many bytes are copied in parts.',
  ),
  rootdirectory: key(text().default(''), 'The prefix of all objects.'),
  storageclass: key(text().default('STANDARD'), 'The storage class of objects.'),
  useragent: optionalText('Added to the User-Agent header.'),
  objectacl: key(text().default('private'), 'The canned access control list of objects.'),
  usedualstack: key(flag().default(false), 'Use endpoints that answer over IPv4 and IPv6.'),
  accelerate: key(flag().default(false), 'Use transfer acceleration.'),
  usefipsendpoint: key(flag().default(false), 'Use FIPS endpoints.'),
  loglevel: key(text().default('off'), 'How much the SDK logs.'),
});

const gcs = section({
  name: driverName('gcs'),
  bucket: key(text().default(''), 'The bucket. Required.'),
  rootdirectory: key(text().default(''), 'The prefix of all objects.', {
    defaultText: '`/zot`, also for `/`',
  }),
  chunksize: optionalInteger('Bytes of one part of an upload.'),
  keyfile: key(text().optional(), 'A file with the key of a service account.', { file: true }),
  credentialsFile: key(text().optional(), 'Another name of `keyfile`. zot ignores it.', {
    file: true,
    ours: true,
  }),
  credentials: key(z.record(z.string(), z.unknown()).optional(), 'The key of a service account, inline.', {
    secret: true,
  }),
  useragent: optionalText('Added to the User-Agent header.'),
  maxconcurrency: optionalInteger('Requests made at once.'),
});

const azure = section({
  name: driverName('azure'),
  accountname: key(text().default(''), 'The storage account.'),
  accountkey: optionalSecret('The key of the account.'),
  connectionstring: optionalSecret('A connection string, instead of the other credentials.'),
  container: key(text().default(''), 'The container. Required.'),
  credentials: key(
    section({
      type: key(text().default(''), '`client_secret`, `shared_key` or `default_credentials`.'),
      clientid: optionalText('The application id.'),
      tenantid: optionalText('The tenant id.'),
      secret: optionalSecret('The secret of the application.'),
    }).optional(),
    'How to sign in.',
  ),
  realm: key(text().default('core.windows.net'), 'The domain of the endpoints.'),
  serviceurl: optionalText('The whole address of the service, instead of one made of account and realm.'),
  rootdirectory: key(text().default(''), 'The prefix of all objects.', {
    defaultText: '`/zot`, also for `/`',
  }),
  max_retries: key(integer().default(5), 'How often a failed request is tried again.'),
  retry_delay: key(text().default('100ms'), 'The pause before the first new try.'),
  skipverify: key(flag().default(false), 'Do not verify the certificate of the store.'),
});

/** `storageDriver`: an object store instead of a local folder. */
export const storageDriver = () =>
  driver(
    [s3, gcs, azure],
    (name) =>
      `unsupported storage driver: ${quoted(name)}; write "name": "s3", "gcs" or "azure", in lower case`,
  );

const dynamodb = section({
  name: driverName('dynamodb'),
  endpoint: key(text().default(''), 'The address of the database.'),
  region: key(text().default(''), 'The region.'),
  cacheTablename: key(text().default(''), 'The table of blobs present. Required.'),
  repoMetaTablename: key(text().default(''), 'The table of repositories.'),
  repoBlobsInfoTablename: key(text().default(''), 'The table of the blobs of repositories.'),
  imageMetaTablename: key(text().default(''), 'The table of images.'),
  apiKeyTablename: key(text().default(''), 'The table of API keys.'),
  versionTablename: key(text().default(''), 'The table of the schema version.'),
  userDataTablename: key(text().default(''), 'The table of what users keep.'),
});

function redisKeys(keyprefix: string) {
  return {
    name: driverName('redis'),
    keyprefix: key(text().default(keyprefix), 'The prefix of all keys.'),
    url: optionalText(
      '`redis://` or `rediss://`; with `&addr=` parameters it names a cluster. Instead of single keys.',
    ),
    addr: key(textList().optional(), 'Servers as `host:port`; several make a cluster.'),
    client_name: optionalText('The name of the connections.'),
    db: optionalInteger('The number of the database.'),
    protocol: optionalInteger('The version of the protocol, 2 or 3.'),
    username: optionalText('The user.'),
    password: optionalSecret('The password.'),
    sentinel_username: optionalText('The user at the sentinels.'),
    sentinel_password: optionalSecret('The password at the sentinels.'),
    master_name: optionalText('The name of the master; selects sentinels.'),
    max_retries: optionalInteger('How often a command is tried again.'),
    min_retry_backoff: optionalText('The shortest pause before a new try.'),
    max_retry_backoff: optionalText('The longest pause before a new try.'),
    dial_timeout: optionalText('How long connecting may take.'),
    read_timeout: optionalText('How long reading an answer may take.'),
    write_timeout: optionalText('How long sending a command may take.'),
    context_timeout_enabled: optionalFlag('Whether the deadline of a request limits its commands.'),
    pool_fifo: optionalFlag('Use the connection that was idle longest first.'),
    pool_size: optionalInteger('Connections kept.'),
    pool_timeout: optionalText('How long to wait for a free connection.'),
    min_idle_conns: optionalInteger('Idle connections kept at least.'),
    max_idle_conns: optionalInteger('Idle connections kept at most.'),
    max_active_conns: optionalInteger('Connections at most.'),
    conn_max_idle_time: optionalText('How long a connection may be idle.'),
    conn_max_lifetime: optionalText('How long a connection may live.'),
    max_redirects: optionalInteger('Redirections of a cluster followed at most.'),
    read_only: optionalFlag('Read from replicas of a cluster.'),
    route_by_latency: optionalFlag('Read from the nearest node.'),
    route_randomly: optionalFlag('Read from any node.'),
    disable_identity: optionalFlag('Do not tell the server which client library connects.'),
    identity_suffix: optionalText('Added to the name of the client library.'),
    unstable_resp3: optionalFlag('Use commands whose version 3 answers may still change.'),
  };
}

/** zot's name of the local cache; what it says is fixed anyway. */
const localCache = lenientSection({
  name: driverName('cache'),
  rootDir: optionalText('Accepted without effect.'),
  useRelPaths: optionalFlag('Accepted without effect.'),
});

/** `cacheDriver`: the remote database of a store. */
export const cacheDriver = () =>
  driver(
    [section(redisKeys('zot')), dynamodb, localCache],
    (name) =>
      `invalid database config, unsupported database driver: ${quoted(name)}; write "name": "redis" or "dynamodb"`,
  );

const localSessions = section({ name: driverName('local') });

/** `sessionDriver`: where sessions of the browser are kept. */
export const sessionDriver = () =>
  driver([section(redisKeys('zotsession')), localSessions], (name) =>
    name === undefined
      ? 'must provide session driver name! Write "name": "local" or "redis"'
      : `session store driver ${quoted(name)} is not allowed! Write "name": "local" or "redis"`,
  );
