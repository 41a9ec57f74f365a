import { createHash } from 'node:crypto';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { WatchedFile } from '#lib/watched-file';
import { LdapDirectory } from './ldap-directory.ts';
import type { LdapEndpoint } from './ldap-socket.ts';
import { userFilterMaker } from './user-filter.ts';

type LdapConfig = NonNullable<Config['http']['auth']['ldap']>;

const CONNECT_TIMEOUT_MS = 5000;
const AUTHORITIES_BYTES_MAX = 16 * 1024 * 1024;

/** The directory of `http.auth.ldap`; it is first asked at the first sign-in. Throws `StartError`. */
export function openLdap(config: LdapConfig, logger: Logger): LdapDirectory {
  const authorities = watchedAuthorities(config.cacert, logger);
  const security = config.insecure ? (config.startTLS ? 'startTls' : 'none') : 'tls';
  if (security === 'none') {
    logger.warn(
      { component: 'ldap', key: 'http.auth.ldap.insecure' },
      'passwords travel to the directory in the clear',
    );
  }
  const system = security === 'none' || config.cacert !== '' ? null : systemAuthorities();
  const endpoint = (): LdapEndpoint => ({
    host: config.address,
    port: config.port !== 0 ? config.port : security === 'tls' ? 636 : 389,
    security,
    verifies: !config.skipVerify,
    authorities: authorities === null ? system : [authorities.content],
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  return new LdapDirectory({
    id: `ldap ${createHash('sha256').update(JSON.stringify(config)).digest('base64url')}`,
    endpoint,
    service: config.bindDN === '' ? null : { dn: config.bindDN, password: config.bindPassword },
    base: config.baseDN,
    scope: config.subtreeSearch ? 'sub' : 'one',
    filterOf: userFilterMaker(config.userAttribute, config.userFilter),
    groupAttribute: config.userGroupAttribute,
    logger,
    onClose: () => authorities?.close(),
  });
}

function watchedAuthorities(path: string, logger: Logger): WatchedFile<string> | null {
  if (path === '') return null;
  try {
    return new WatchedFile({
      path,
      sizeBytesMax: AUTHORITIES_BYTES_MAX,
      parse: (text) => {
        if (!text.includes('BEGIN CERTIFICATE')) throw new Error(`${path} holds no certificate`);
        createSecureContext({ ca: text });
        return text;
      },
      onProblem: (problem) =>
        logger.error(
          { component: 'ldap', problem },
          'the changed authorities cannot be used, the old ones stay',
        ),
    });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new StartError(`http.auth.ldap.cacert: the authorities cannot be used: ${what}`, { cause: error });
  }
}

/** Those of the system, and those that Node brings. */
function systemAuthorities(): readonly string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}
