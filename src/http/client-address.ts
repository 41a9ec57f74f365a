import type { RawRequest } from './body.ts';

/** IPv4 in IPv6 clothes, as sockets that listen for both name their peers. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** The address of the TCP peer, without port; '' on a Unix socket. */
export function peerAddressOf(request: RawRequest): string {
  const address = request.socket.remoteAddress ?? '';
  return address.startsWith('::') ? address.replace(MAPPED, '$1') : address;
}

/** The address of the client: the peer, as long as no proxy is trusted. */
export function clientAddressOf(request: RawRequest): string {
  return peerAddressOf(request);
}
