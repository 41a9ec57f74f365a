import { formatProblem, unsupportedSections } from '#config';
import type { Config } from '#config';
import { extensions } from '#extensions';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';

/**
 * What the core of this build has, by the names of `src/config/features.ts`. Whoever builds a feature adds its name
 * here; extensions are known by their own names.
 */
export const CORE_FEATURES: readonly string[] = [
  'auth.htpasswd',
  'auth.ldap',
  'auth.apikey',
  'auth.mtls',
  'auth.openid',
  'auth.bearer',
  'auth.bearer.oidc',
  'auth.bearer.aws',
  'auth.failDelay',
  'accessControl',
  'accessControl.conditions',
  'ratelimit',
  'audit',
  'gc',
  'retention',
  'dedupe',
  'maxRepos',
  'immutableTags',
  'undo',
];

export interface FeatureOptions {
  /** Refuse whatever is lacking. */
  readonly strict: boolean;
  readonly logger: Logger;
  /** Instead of what this build has. */
  readonly available?: ReadonlySet<string>;
}

function ofThisBuild(): ReadonlySet<string> {
  return new Set([...CORE_FEATURES, ...extensions.map(({ name }) => name)]);
}

/**
 * Warns of sections that ask for what this build lacks. Throws `StartError` where leaving it out would open what the
 * configuration closes, or put images in another place; with `strict` for every such section.
 */
export function requireFeatures(
  config: Config,
  { strict, logger, available = ofThisBuild() }: FeatureOptions,
): void {
  const lacking = unsupportedSections(config, available);
  for (const { path, message } of lacking) logger.warn({ key: path }, message);
  const refused = lacking.filter(({ weakensSecurity }) => weakensSecurity || strict);
  if (refused.length > 0) throw new StartError(refused.map(formatProblem).join('; '));
}
