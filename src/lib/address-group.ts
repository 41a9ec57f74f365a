import { isIPv6 } from 'node:net';

const GROUPS = 8;
const PREFIX_GROUPS = 4;

/**
 * The part of an address that one customer of a network holds: an IPv4 address as it is, of an IPv6 address its /64.
 * Limits by address count by this, or a single machine would have 2^64 of them.
 */
export function addressGroup(address: string): string {
  const [bare = ''] = address.split('%');
  if (!isIPv6(bare)) return address;
  // URLs hold IPv6 addresses in their one canonical form, dotted endings turned into groups.
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  const [start = '', end] = canonical.split('::');
  const first = start === '' ? [] : start.split(':');
  const last = end === undefined || end === '' ? [] : end.split(':');
  const gap = end === undefined ? 0 : GROUPS - first.length - last.length;
  const groups = [...first, ...Array.from({ length: gap }, () => '0'), ...last];
  return `${groups.slice(0, PREFIX_GROUPS).join(':')}::/64`;
}
