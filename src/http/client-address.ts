import { BlockList, isIP, isIPv4 } from 'node:net';
import type { RawRequest } from './body.ts';

/** IPv4 in IPv6 clothes, as sockets that listen for both name their peers. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** Entries of X-Forwarded-For that are looked at, the last ones; each proxy on the way adds one at the end. */
export const FORWARDED_MAX = 64;

/** The address of the TCP peer, without port; '' on a Unix socket. */
export function peerAddressOf(request: RawRequest): string {
  const address = request.socket.remoteAddress ?? '';
  return address.startsWith('::') ? address.replace(MAPPED, '$1') : address;
}

/** The entries of X-Forwarded-For, left to right, whoever wrote them. */
export function forwardedForOf(headers: RawRequest['headers']): readonly string[] {
  const text = headers['x-forwarded-for'];
  if (text === undefined) return [];
  const all = Array.isArray(text) ? text.join(',') : text;
  return all
    .split(',')
    .slice(-FORWARDED_MAX)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** The proxies whose word on their clients is believed (`http.trustedProxies`). */
export class TrustedProxies {
  #ranges: BlockList | null;

  /** `ranges` are addresses and CIDR ranges that were checked before; none: nobody is believed. */
  constructor(ranges: readonly string[]) {
    this.#ranges = ranges.length === 0 ? null : rangesOf(ranges);
  }

  /**
   * The address of the client. Unless the peer is trusted it is the peer's, whatever the request says. Of the entries
   * of X-Forwarded-For the right-most that is not a trusted proxy is the client: what stands left of it is what the
   * client itself says. An entry that is no address ends the way at the proxy before it.
   */
  clientOf(request: RawRequest): string {
    const peer = peerAddressOf(request);
    if (this.#ranges === null || !this.#isTrusted(peer)) return peer;
    const entries = forwardedForOf(request.headers);
    if (entries.length === 0) return addressIn(request.headers['x-real-ip']) ?? peer;
    let client = peer;
    for (const entry of entries.toReversed()) {
      const address = addressIn(entry);
      if (address === null) return client;
      client = address;
      if (!this.#isTrusted(address)) return client;
    }
    return client;
  }

  /** Only programs of this machine reach a Unix socket: with any proxy trusted, they are. */
  #isTrusted(address: string): boolean {
    if (address === '') return true;
    return this.#ranges?.check(address, isIPv4(address) ? 'ipv4' : 'ipv6') === true;
  }
}

function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** An address as proxies write it: plain, with a port, in brackets; `null` for anything else. */
function addressIn(entry: string | string[] | undefined): string | null {
  if (typeof entry !== 'string') return null;
  const text = entry.trim();
  const bare =
    /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? (/^([\d.]+):\d{1,5}$/.exec(text)?.[1] || text);
  if (isIP(bare) === 0) return null;
  const [plain = ''] = bare.split('%');
  return plain.replace(MAPPED, '$1');
}
