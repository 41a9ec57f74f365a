import { HttpAccessRequest } from '../access-request.ts';
import type { Handler } from '../context.ts';
import { sendJson } from '../context.ts';
import { refuseForeignPages } from './own-pages.ts';

/** POST /zot/auth/logout: ends the session of the browser, here and in it. Needs no valid session. */
export const postLogout: Handler = async (request, reply, { access }) => {
  refuseForeignPages(request);
  const { sessions, openid } = access;
  if (sessions === null) return sendJson(reply, '{}');
  const facts = new HttpAccessRequest(request);
  const ended = await sessions.end(facts);
  // The provider has a session of its own, with which one would be signed in again at once.
  const endSessionUrl = ended === null ? null : ((await openid?.endSessionUrl(ended, facts)) ?? null);
  reply.header('set-cookie', [...sessions.expiredCookies()]).header('cache-control', 'no-store');
  return sendJson(reply, JSON.stringify(endSessionUrl === null ? {} : { endSessionUrl }));
};
