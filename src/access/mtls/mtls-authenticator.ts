import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { WeightedLru } from '#lib/weighted-lru';
import type { Authenticator } from '../contract.ts';
import { compileIdentity } from './certificate-identity.ts';
import { DerError } from '../der.ts';

/** Certificates whose user is remembered: each connection asks for the same one again and again. */
const REMEMBERED_MAX = 1000;

/** The way to sign in with a client certificate, which the handshake has verified. Throws `StartError`. */
export function mtlsAuthenticator(config: Config, logger: Logger): Authenticator {
  const identityOf = compileIdentity(config.http.auth.mtls);
  const remembered = new WeightedLru<string, { readonly username: string | null }>(REMEMBERED_MAX);
  const usernameOf = (certificate: Buffer): string | null => {
    const name = certificate.toString('latin1');
    const known = remembered.get(name);
    if (known !== undefined) return known.username;
    const username = readOrNull(certificate, identityOf, logger);
    remembered.set(name, { username });
    return username;
  };
  return {
    method: 'mtls',
    identify: async ({ peerCertificate }) => {
      if (peerCertificate === null) return null;
      const username = usernameOf(peerCertificate);
      if (username === null) return { refused: true, reason: 'the certificate names no user', username: '' };
      return {
        username,
        origin: 'mtls',
        groups: [],
        method: 'mtls',
        claims: null,
        scope: null,
        scopeOnly: false,
      };
    },
    close: async () => undefined,
  };
}

function readOrNull(
  certificate: Buffer,
  identityOf: (certificate: Buffer) => string | null,
  logger: Logger,
): string | null {
  try {
    return identityOf(certificate);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    logger.warn({ component: 'mtls', error }, 'a client certificate cannot be read');
    return null;
  }
}
