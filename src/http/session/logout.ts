import type { Handler } from '../context.ts';
import { sendJson } from '../context.ts';
import { refuseForeignPages } from './own-pages.ts';

/** POST /zot/auth/logout: ends the session of the browser, here and in it. Needs no valid session. */
export const postLogout: Handler = async (request, reply, { access }) => {
  refuseForeignPages(request);
  const { sessions } = access;
  if (sessions === null) return sendJson(reply, '{}');
  const { headers } = request.raw;
  await sessions.end({ headers });
  reply.header('set-cookie', [...sessions.expiredCookies()]).header('cache-control', 'no-store');
  return sendJson(reply, '{}');
};
