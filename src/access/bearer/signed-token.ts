/**
 * Tokens whose signature has been checked (RFC 7519, RFC 8725). The key and its algorithms are decided before the
 * token is looked at; `jwk`, `jku`, `x5u` and `x5c` of its header are never read.
 */
import { compactVerify, errors } from 'jose';
import type { VerificationKey } from './verification-key.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** Why a token is not accepted; the message is for the log and holds nothing of the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** Clocks of issuers may be ahead by this much. */
const CLOCK_AHEAD_SECONDS = 60;
const CLAIMS_BYTES_MAX = 16 * 1024;

export interface TokenHeader {
  readonly alg: string;
  readonly kid: unknown;
}

/** The header of a token, unverified: for nothing but the choice of a key that is already trusted. */
export function headerOf(token: string): TokenHeader {
  const header = jsonOf(token.slice(0, token.indexOf('.')));
  return { alg: typeof header.alg === 'string' ? header.alg : '', kid: header.kid };
}

/** The claims of a token, unverified: for nothing but the choice of an issuer that is already trusted. */
export function unverifiedClaims(token: string): Claims {
  return jsonOf(token.slice(token.indexOf('.') + 1, token.lastIndexOf('.')));
}

function jsonOf(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(decode(Buffer.from(part, 'base64url')));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (error) {
    throw new TokenError('the token is not well formed', { cause: error });
  }
  throw new TokenError('the token is not well formed');
}

/** The claims of a token that one of the keys has signed. Throws `TokenError`. */
export async function verifySignature(token: string, keys: readonly VerificationKey[]): Promise<Claims> {
  const { alg } = headerOf(token);
  const fitting = keys.filter(({ algorithms }) => algorithms.includes(alg));
  if (fitting.length === 0)
    throw new TokenError('the token is signed with an algorithm that the key is not for');
  for (const { key } of fitting) {
    const claims = await claimsSignedBy(token, key, alg);
    if (claims !== null) return claims;
  }
  throw new TokenError('the signature is wrong');
}

async function claimsSignedBy(
  token: string,
  key: VerificationKey['key'],
  alg: string,
): Promise<Claims | null> {
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(token, key, { algorithms: [alg] }));
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return null;
    throw new TokenError('the token cannot be verified', { cause: error });
  }
  if (payload.length > CLAIMS_BYTES_MAX) throw new TokenError('the claims of the token are too long');
  return jsonOf(Buffer.from(payload).toString('base64url'));
}

function decode(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

/** The time after which claims no longer count, in milliseconds; `null` where they have none. Throws `TokenError`. */
export function expiryMsOf(claims: Claims): number | null {
  const exp = secondsOf(claims.exp, 'exp');
  return exp === null ? null : exp * 1000;
}

/** Checks `exp`, `nbf` and `iat` as far as the token has them. Throws `TokenError`. */
export function checkTimes(claims: Claims, nowMs: number): void {
  const now = nowMs / 1000;
  const expiryMs = expiryMsOf(claims);
  if (expiryMs !== null && expiryMs <= nowMs) throw new TokenError('the token has expired');
  const latest = now + CLOCK_AHEAD_SECONDS;
  if ((secondsOf(claims.nbf, 'nbf') ?? 0) > latest) throw new TokenError('the token is not valid yet');
  if ((secondsOf(claims.iat, 'iat') ?? 0) > latest)
    throw new TokenError('the token was issued in the future');
}

function secondsOf(value: unknown, name: string): number | null {
  if (value === undefined) return null;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TokenError(`${name} is not a number`);
  return value;
}

/** The audiences of a token (RFC 7519 section 4.1.3). Throws `TokenError` for other shapes. */
export function audiencesOf(claims: Claims): readonly string[] {
  const { aud } = claims;
  if (aud === undefined) return [];
  if (typeof aud === 'string') return [aud];
  if (Array.isArray(aud) && aud.every((one) => typeof one === 'string')) return aud;
  throw new TokenError('aud is neither a text nor a list of texts');
}
