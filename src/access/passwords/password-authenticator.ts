import type { AccessRequest, Authenticator, Identity } from '../contract.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { isFromUi } from '../ui-request.ts';
import type { PasswordSignIn } from './password-sign-in.ts';
import type { VerifiedUser } from './sign-in-memory.ts';

/**
 * The way to sign in with a password. Where a password file and a directory are configured both, the first of the two
 * ways asks them in turn and the other one has nothing to add.
 */
export function passwordAuthenticator(
  { passwords, sessions }: { readonly passwords: PasswordSignIn | null; readonly sessions: Sessions },
  method: 'htpasswd' | 'ldap',
): Authenticator {
  return {
    method,
    identify: async (request) => {
      if (passwords?.firstMethod !== method) return null;
      const verdict = await passwords.verify(request);
      if (verdict === null || 'refused' in verdict) return verdict;
      const identity = identityOf(verdict);
      return isFromUi(request) ? { ...identity, headers: await begin(sessions, verdict, request) } : identity;
    },
    close: async () => undefined,
  };
}

function identityOf({ username, groups, method, proof }: VerifiedUser): Identity {
  return { username, origin: method, groups, method, proof, claims: null, scope: null, scopeOnly: false };
}

/** A script of the UI gets a session at once, so that it need not keep the password. */
async function begin(
  sessions: Sessions,
  { username, groups, method, proof }: VerifiedUser,
  request: AccessRequest,
): Promise<NonNullable<Identity['headers']>> {
  const user = { username, origin: method, groups, provider: '', idToken: null, proof };
  return { 'set-cookie': await sessions.begin(user, request) };
}
