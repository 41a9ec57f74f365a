import type { AccessParts, AccessRequest, AuthMethod, Authenticator, Identity } from './contract.ts';
import { isRefused } from './identification.ts';
import type { SignInMemory } from './passwords/sign-in-memory.ts';

/**
 * Ways whose credentials come with every request, and are no longer anything to verify after the first. Passwords,
 * providers and our own tokens tell of their sign-ins themselves, and a session began with one.
 */
const EVERY_TIME: ReadonlySet<AuthMethod> = new Set(['apikey', 'mtls', 'oidc', 'bearer']);
/** Somebody who comes again from the same address within this time has not signed in anew. */
const REMEMBER_MS = 600_000;

/** The same way to sign in, with a record of each user who comes by it: once for an address and a while. */
export function tellingSignIns(
  inner: Authenticator,
  audit: AccessParts['audit'],
  memory: SignInMemory,
): Authenticator {
  const { method } = inner;
  if (!EVERY_TIME.has(method)) return inner;
  const tell = ({ username }: Identity, { clientAddress: clientIP }: AccessRequest): void => {
    const key = `${method} ${clientIP} ${username}`;
    const now = memory.now();
    if ((memory.told.get(key) ?? 0) > now) return;
    memory.told.set(key, now + REMEMBER_MS);
    audit({ action: 'sign-in', subject: username, object: method, outcome: 'allowed', clientIP });
  };
  return {
    method,
    identify: async (request) => {
      const found = await inner.identify(request);
      if (found !== null && !isRefused(found) && found.username !== '') tell(found, request);
      return found;
    },
    ...(inner.challenge === undefined
      ? {}
      : { challenge: (wanted, request) => inner.challenge?.(wanted, request) ?? null }),
    close: () => inner.close(),
  };
}
