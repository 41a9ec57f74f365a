import type { FastifyRequest } from 'fastify';

/**
 * What answers of the API tell browsers: to take them for what they say they are, to run nothing in them, to show them
 * in no frame, and to tell nobody from where somebody came. Clients of registries look at none of these. Pages of an
 * extension set their own policy in place of this one.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'referrer-policy': 'no-referrer',
};

/** A year, of this host only: its sub-domains are other people's business. */
const HSTS = 'max-age=31536000';

/**
 * `Strict-Transport-Security` for a server with TLS (RFC 6797). Not for `localhost`: a browser would refuse plain HTTP
 * on every port of the machine from then on.
 */
export function transportSecurity(request: FastifyRequest): Readonly<Record<string, string>> {
  const host = request.host.toLowerCase();
  return /^localhost(?::|$)/.test(host) ? {} : { 'strict-transport-security': HSTS };
}
