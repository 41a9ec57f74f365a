import type { Config } from '#config';
import type { AccessRequest } from '../contract.ts';

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/;

/**
 * The origin under which clients reach us: that of the configuration or, without one, the one that a client itself
 * used for its request. `null` when its `Host` is not one.
 */
export function ownOrigin(
  { http }: Config,
  request: Pick<AccessRequest, 'headers' | 'tlsVersion'>,
): string | null {
  if (http.externalUrl !== '') return http.externalUrl.replace(/\/+$/, '');
  const host = request.headers[':authority'] ?? request.headers.host;
  if (typeof host !== 'string' || !HOST.test(host)) return null;
  return `${request.tlsVersion === null ? 'http' : 'https'}://${host}`;
}

/** What our tokens are for: the service of the configuration, or the host under which we are known. */
export function ownService({ http }: Config): string {
  const { service = '' } = http.auth.bearer ?? {};
  if (service !== '') return service;
  return URL.parse(http.externalUrl)?.host ?? 'zot';
}
