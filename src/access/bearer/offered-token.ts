import type { Refused } from '../contract.ts';

const BEARER = /^bearer +([A-Za-z0-9_~+/.=-]+) *$/i;
const SCHEME = /^bearer(\s|$)/i;

/** Longer ones are refused before anything looks into them: no token server makes them. */
export const TOKEN_CHARS_MAX = 16 * 1024;
/** A compact JWS (RFC 7515 section 7.1): three parts. Counted by a pattern that never looks twice. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Reads an `Authorization` header: `null` for another scheme, a refusal for what cannot be a signed token. */
export function offeredToken(header: string | undefined): string | Refused | null {
  if (header === undefined || !SCHEME.test(header.slice(0, 16).trimStart())) return null;
  if (header.length > TOKEN_CHARS_MAX) return refusedToken('the token is too long');
  const [, token] = BEARER.exec(header.trim()) ?? [];
  if (token === undefined || !isCompactJws(token)) return refusedToken('the token is not a signed JWT');
  return token;
}

/** Whether a text has the form of a signed JWT, of bounded length. */
export function isCompactJws(text: string): boolean {
  return text.length <= TOKEN_CHARS_MAX && COMPACT.test(text);
}

export function refusedToken(reason: string, username = ''): Refused {
  return { refused: true, reason, username };
}
