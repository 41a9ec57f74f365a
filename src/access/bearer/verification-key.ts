import { X509Certificate, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** A public key and the algorithms that it may be used with. */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithms: readonly string[];
}

/** What cannot be a key; the message is for the operator and shows nothing of the text. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** The algorithms of each kind of key; none with a shared secret, and not `none`. */
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const BY_CURVE: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
};

export const KEY_BYTES_MAX = 64 * 1024;
const RSA_BITS_MIN = 2048;

/**
 * Reads a public key: a PEM certificate, a PEM public key (PKIX or PKCS#1), or a JWKS with one key. The algorithms
 * follow from the kind of key, never from a token, so that no token can make a key be used as something else.
 * Throws `KeyError`.
 */
export function readVerificationKey(text: string): VerificationKey {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) return fromJwks(trimmed);
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(trimmed))
    throw new KeyError(
      'this is a private key: give the public one, and keep the private one at the token server',
    );
  try {
    const key = trimmed.includes('-----BEGIN CERTIFICATE-----')
      ? new X509Certificate(trimmed).publicKey
      : createPublicKey(trimmed);
    return { key, algorithms: algorithmsOf(key) };
  } catch (error) {
    if (error instanceof KeyError) throw error;
    throw new KeyError('this is no PEM certificate, no PEM public key and no JWKS', { cause: error });
  }
}

function fromJwks(text: string): VerificationKey {
  const keys = jwksOf(text);
  const [only] = keys;
  if (keys.length !== 1 || only === undefined)
    throw new KeyError(`the JWKS has ${keys.length} keys instead of one`);
  return fromJwk(only);
}

function jwksOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KeyError('this is no JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys))
    throw new KeyError('this is no JWKS: it has no list "keys"');
  return value.keys;
}

/** Reads one public key of a key set (RFC 7517). Throws `KeyError`. */
export function fromJwk(value: unknown): VerificationKey {
  if (typeof value !== 'object' || value === null) throw new KeyError('a key of the JWKS is no object');
  const { kty, use, alg } = value as Readonly<Record<string, unknown>>;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP')
    throw new KeyError('the key is not of the type RSA, EC or OKP');
  if (use !== undefined && use !== 'sig') throw new KeyError('the key is not for signatures');
  if ('d' in value) throw new KeyError('this is a private key: give the public one');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: value, format: 'jwk' });
  } catch (error) {
    throw new KeyError('the key cannot be read', { cause: error });
  }
  const algorithms = algorithmsOf(key);
  return { key, algorithms: alg === undefined ? algorithms : algorithms.filter((one) => one === alg) };
}

function algorithmsOf(key: KeyObject): readonly string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < RSA_BITS_MIN)
      throw new KeyError(`the RSA key is shorter than ${RSA_BITS_MIN} bits`);
    return RSA;
  }
  if (type === 'ed25519') return ['EdDSA'];
  const found = type === 'ec' ? BY_CURVE[details?.namedCurve ?? ''] : undefined;
  if (found === undefined) throw new KeyError('the key is of a kind that no accepted algorithm uses');
  return found;
}
