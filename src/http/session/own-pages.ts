import type { FastifyRequest } from 'fastify';
import { RegistryError } from '#oci/errors';

/** What `Sec-Fetch-Site` says of requests that the page itself, the user, or no browser made. */
const OWN: ReadonlySet<string> = new Set(['same-origin', 'none']);

/**
 * Refuses a change that a page of another site asks for in the name of its visitor: browsers add cookies, client
 * certificates and remembered passwords by themselves. Scripts of the UI prove themselves by their header, which
 * other pages cannot send without being allowed to.
 */
export function refuseForeignPages(request: FastifyRequest): void {
  const { headers } = request;
  if (headers['x-zot-api-client'] === 'zot-ui') return;
  const site = headers['sec-fetch-site'];
  const isForeign = typeof site === 'string' ? !OWN.has(site) : isForeignOrigin(headers.origin, request.host);
  if (isForeign)
    throw new RegistryError('DENIED', { message: 'a page of another site may not ask for this' });
}

/** For browsers that do not send `Sec-Fetch-Site`. */
function isForeignOrigin(origin: string | undefined, host: string): boolean {
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}
