import type { Config } from '../schema/schema.ts';

/**
 * The files beside the configuration file whose content is part of what is loaded: secrets that the loader reads,
 * and keys and authorities of the ways to sign in. Password files and the files of TLS are watched by whoever uses
 * them.
 */
export function filesOfConfig(config: Config): readonly string[] {
  const { auth } = config.http;
  const named = [
    auth.sessionKeysFile,
    auth.ldap?.credentialsFile,
    auth.ldap?.cacert,
    auth.bearer?.cert,
    ...(auth.bearer?.oidc ?? []).map(({ certificateAuthorityFile }) => certificateAuthorityFile),
    ...Object.values(auth.openid?.providers ?? {}).flatMap(({ credentialsFile, keypath }) => [
      credentialsFile,
      keypath,
    ]),
  ];
  return [...new Set(named.filter((file): file is string => file !== undefined && file !== ''))];
}
