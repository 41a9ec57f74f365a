import { isFromUi } from '../ui-request.ts';
import type { Authenticator } from '../contract.ts';
import type { Sessions } from './sessions.ts';

/**
 * The way to be signed in by a cookie. It counts with the header of the UI only, which is what stops forged
 * requests.
 */
export function sessionAuthenticator(sessions: Sessions): Authenticator {
  return {
    method: 'session',
    identify: async (request) => {
      if (!isFromUi(request) || !sessions.offered(request)) return null;
      const session = await sessions.find(request);
      if (session === null) {
        const headers = { 'set-cookie': sessions.expiredCookies() };
        return { refused: true, reason: 'the session has ended', username: '', asAnonymous: true, headers };
      }
      const { username, groups, origin, cookies } = session;
      const headers = cookies.length === 0 ? {} : { headers: { 'set-cookie': cookies } };
      return {
        username,
        groups,
        origin,
        method: 'session',
        claims: null,
        scope: null,
        scopeOnly: false,
        ...headers,
      };
    },
    close: async () => undefined,
  };
}
