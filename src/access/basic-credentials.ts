import { isUtf8 } from 'node:buffer';
import type { Refused } from './contract.ts';

/** A name and a password as a client offers them (RFC 7617). */
export interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

const BASIC = /^basic +([A-Za-z0-9+/]*={0,2}) *$/i;
const SCHEME = /^basic(\s|$)/i;
const USERNAME_BYTES_MAX = 1024;

/**
 * Reads an `Authorization` header: `null` when it is of another scheme, a refusal when it is not well formed. The
 * first colon divides; bytes that are no UTF-8 are refused, since two passwords would be one.
 */
export function basicCredentials(header: string): BasicCredentials | Refused | null {
  const text = header.trim();
  if (!SCHEME.test(text)) return null;
  const [, encoded] = BASIC.exec(text) ?? [];
  if (encoded === undefined) return malformed('the Basic credentials are not base64');
  const bytes = Buffer.from(encoded, 'base64');
  if (!isUtf8(bytes)) return malformed('the Basic credentials are not UTF-8');
  const decoded = bytes.toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon === -1) return malformed('the Basic credentials have no colon');
  const username = decoded.slice(0, colon);
  if (Buffer.byteLength(username) > USERNAME_BYTES_MAX) return malformed('the name of the user is too long');
  return { username, password: decoded.slice(colon + 1) };
}

function malformed(reason: string): Refused {
  return { refused: true, reason, username: '' };
}
