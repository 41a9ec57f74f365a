import { isIP } from 'node:net';

const prefixDigits = /^(0|[1-9]\d{0,2})$/;

/** Whether a text is an address range such as `10.0.0.0/8` or `fd00::/8`, or a single address. */
export function isCidr(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return prefix === undefined || (prefixDigits.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}
