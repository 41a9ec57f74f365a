import { formatPath, type ConfigProblem, type Path } from './problems.ts';
import type { Config, StoreConfig } from './schema/schema.ts';

/** Something that a configuration can ask for and a build may lack. */
export interface Feature {
  readonly name: string;
  /** What it does, as the end of a sentence "this build lacks ...". */
  readonly doc: string;
  /**
   * Leaving it out would open what the configuration closes, or put data where they do not belong: the server
   * must not start without it.
   */
  readonly weakensSecurity: boolean;
  /** The places of the configuration that ask for it. */
  readonly findUses: (config: Config) => readonly Path[];
}

type Auth = Config['http']['auth'];
type Extensions = Config['extensions'];

const auth =
  (key: string, isUsed: (auth: Auth) => boolean) =>
  ({ http }: Config): readonly Path[] =>
    isUsed(http.auth) ? [['http', 'auth', key]] : [];

const extension =
  (key: keyof Extensions, isUsed: (extensions: Extensions) => boolean | undefined) =>
  ({ extensions }: Config): readonly Path[] =>
    isUsed(extensions) === true ? [['extensions', key]] : [];

const stores =
  (key: string, isUsed: (store: StoreConfig) => boolean) =>
  ({ storage }: Config): readonly Path[] => [
    ...(isUsed(storage) ? [['storage', key]] : []),
    ...Object.entries(storage.subPaths)
      .filter(([, store]) => isUsed(store))
      .map(([route]) => ['storage', 'subPaths', route, key]),
  ];

const at = (isUsed: boolean, ...path: string[]): readonly Path[] => (isUsed ? [path] : []);

function hasConditions({ accessControl }: Config['http']): boolean {
  const policies = Object.values(accessControl?.repositories ?? {}).flatMap((entry) => entry.policies);
  return [...policies, accessControl?.adminPolicy].some((policy) => (policy?.conditions.length ?? 0) > 0);
}

const guarding = (name: string, doc: string, findUses: Feature['findUses']): Feature => ({
  name,
  doc,
  weakensSecurity: true,
  findUses,
});

const optional = (name: string, doc: string, findUses: Feature['findUses']): Feature => ({
  name,
  doc,
  weakensSecurity: false,
  findUses,
});

/** Every feature that a build may lack, by the name that builds list in what they have. */
export const features: readonly Feature[] = [
  guarding(
    'auth.htpasswd',
    'sign-in with a password file',
    auth('htpasswd', ({ htpasswd }) => htpasswd !== undefined),
  ),
  guarding(
    'auth.ldap',
    'sign-in through LDAP',
    auth('ldap', ({ ldap }) => ldap !== undefined),
  ),
  guarding(
    'auth.openid',
    'sign-in through OpenID Connect',
    auth('openid', ({ openid }) => openid !== undefined),
  ),
  guarding(
    'auth.apikey',
    'API keys',
    auth('apikey', ({ apikey }) => apikey),
  ),
  guarding('auth.bearer', 'tokens of a token service', ({ http }) =>
    at((http.auth.bearer?.realm ?? '') !== '', 'http', 'auth', 'bearer'),
  ),
  guarding('auth.bearer.oidc', 'identity tokens of OpenID Connect issuers', ({ http }) =>
    at((http.auth.bearer?.oidc.length ?? 0) > 0, 'http', 'auth', 'bearer', 'oidc'),
  ),
  guarding('auth.bearer.aws', 'keys of tokens from AWS Secrets Manager', ({ http }) =>
    at(http.auth.bearer?.awsSecretsManager !== undefined, 'http', 'auth', 'bearer', 'awsSecretsManager'),
  ),
  guarding('auth.mtls', 'sign-in with client certificates', ({ http }) => [
    ...at(http.auth.mtls !== undefined, 'http', 'auth', 'mtls'),
    ...at((http.tls?.cacert ?? '') !== '', 'http', 'tls', 'cacert'),
  ]),
  guarding(
    'auth.sessions.redis',
    'sessions in Redis',
    auth('sessionDriver', ({ sessionDriver }) => sessionDriver?.name === 'redis'),
  ),
  guarding(
    'auth.failDelay',
    'the delay of failed sign-ins',
    auth('failDelay', ({ failDelay }) => failDelay > 0),
  ),
  guarding('accessControl', 'permissions', ({ http }) =>
    at(http.accessControl !== undefined, 'http', 'accessControl'),
  ),
  guarding('accessControl.conditions', 'conditions of permissions (CEL)', ({ http }) =>
    at(hasConditions(http), 'http', 'accessControl'),
  ),
  guarding('ratelimit', 'limits of requests', ({ http }) =>
    at(http.ratelimit !== undefined, 'http', 'ratelimit'),
  ),
  guarding('audit', 'audit records', ({ log }) => at(log.audit !== '', 'log', 'audit')),
  guarding('maxRepos', 'the limit of repositories', ({ storage }) =>
    at(storage.maxRepos > 0, 'storage', 'maxRepos'),
  ),
  ...(['s3', 'gcs', 'azure'] as const).map((name) =>
    guarding(
      `storageDriver.${name}`,
      `storage in ${name}; the images would go to a local folder`,
      stores('storageDriver', ({ storageDriver }) => storageDriver?.name === name),
    ),
  ),
  ...(['redis', 'dynamodb'] as const).map((name) =>
    optional(
      `cacheDriver.${name}`,
      `the cache in ${name}; a local one is used`,
      stores('cacheDriver', ({ cacheDriver, remoteCache }) => remoteCache && cacheDriver?.name === name),
    ),
  ),
  guarding('cluster', 'several servers that share one store', ({ cluster }) =>
    at((cluster?.members.length ?? 0) > 1, 'cluster'),
  ),
  optional(
    'gc',
    'garbage collection',
    stores('gc', ({ gc }) => gc),
  ),
  optional(
    'dedupe',
    'storing equal blobs once',
    stores('dedupe', ({ dedupe }) => dedupe),
  ),
  optional(
    'retention',
    'retention of tags',
    stores('retention', ({ retention }) => retention !== undefined),
  ),
  guarding(
    'immutableTags',
    'tags that can be pushed once',
    stores('immutableTags', ({ immutableTags }) => immutableTags.length > 0),
  ),
  optional(
    'undo',
    'the history of tags',
    stores('undo', ({ undo }) => (undo ?? 0) > 0),
  ),
  optional(
    'redirectBlobURL',
    'redirection of downloads',
    stores('redirectBlobURL', ({ redirectBlobURL }) => redirectBlobURL),
  ),
  optional(
    'search',
    'search',
    extension('search', ({ search }) => search?.enable),
  ),
  optional('search.cve', 'scanning for vulnerabilities', ({ extensions: { search } }) =>
    at(search?.enable === true && search.cve !== undefined, 'extensions', 'search', 'cve'),
  ),
  optional(
    'ui',
    'the web pages',
    extension('ui', ({ ui }) => ui?.enable),
  ),
  optional(
    'metrics',
    'metrics',
    extension('metrics', ({ metrics }) => metrics?.enable),
  ),
  optional(
    'scrub',
    'checking stored bytes',
    extension('scrub', ({ scrub }) => scrub?.enable),
  ),
  optional(
    'lint',
    'checks of pushed images',
    extension('lint', ({ lint }) => lint?.enable),
  ),
  optional(
    'trust',
    'verification of signatures',
    extension('trust', ({ trust }) => trust?.enable),
  ),
  optional(
    'events',
    'notifications',
    extension('events', ({ events }) => events?.enable),
  ),
  optional(
    'sync',
    'copies of other registries',
    extension('sync', ({ sync }) => sync?.enable),
  ),
];

/** A section that the configuration uses and the build lacks. */
export interface UnsupportedSection extends ConfigProblem {
  readonly feature: string;
  /** See {@link Feature.weakensSecurity}: the server must not start. */
  readonly weakensSecurity: boolean;
}

/**
 * The sections that ask for features a build lacks.
 * @param available names out of {@link features}
 */
export function unsupportedSections(config: Config, available: ReadonlySet<string>): UnsupportedSection[] {
  const lacking = features.filter(({ name }) => !available.has(name));
  return lacking.flatMap(({ name, doc, weakensSecurity, findUses }) =>
    findUses(config).map((path) => ({
      path: formatPath(path),
      message: `this build lacks ${doc}`,
      feature: name,
      weakensSecurity,
    })),
  );
}
