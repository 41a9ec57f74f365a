import { createHmac, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';

/** A pair of keys of a token server and the algorithm that it signs with. */
export interface SigningKey {
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** PKIX, PEM. */
  readonly publicPem: string;
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

export function signingKey(alg: string): SigningKey {
  const curve = CURVES[alg];
  const { privateKey, publicKey } =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : curve === undefined
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: curve });
  return { alg, privateKey, publicKey, publicPem: String(publicKey.export({ type: 'spki', format: 'pem' })) };
}

export type Claims = Readonly<Record<string, unknown>>;

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** Signs claims; `header` joins or replaces members of the header. */
export async function sign(
  key: SigningKey,
  claims: Claims,
  header: Record<string, unknown> = {},
): Promise<string> {
  return await new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.alg, typ: 'JWT', ...header })
    .sign(key.privateKey);
}

/** A token put together by hand: any header, any signature. */
export function forge(header: Claims, claims: Claims, signature: Buffer | string): string {
  const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const bytes = typeof signature === 'string' ? hmac(signature, parts.join('.')) : signature;
  return [...parts, bytes.toString('base64url')].join('.');
}

function hmac(secret: string, text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest();
}

export const entry = (name: string, ...actions: string[]): Claims => ({ type: 'repository', name, actions });

export const bearer = (token: string): { readonly authorization: string } => ({
  authorization: `Bearer ${token}`,
});
