import { createPrivateKey } from 'node:crypto';
import type { KeyObject, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PrivateKey } from 'openid-client';
import { StartError } from '#lib/start-error';

type KeyAlgorithm =
  | webcrypto.AlgorithmIdentifier
  | webcrypto.RsaHashedImportParams
  | webcrypto.EcKeyImportParams;

const ALGORITHMS: Readonly<Record<string, KeyAlgorithm>> = {
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  ec: { name: 'ECDSA', namedCurve: 'P-256' },
  ed25519: { name: 'Ed25519' },
};

/**
 * The private key by which we prove who we are at a provider (`keypath`): PEM, or zot's JSON with `keyId` and `key`.
 * Throws `StartError`.
 */
export async function readClientKey(path: string, place: string): Promise<PrivateKey> {
  try {
    const { pem, kid } = keyOf(readFileSync(path, 'utf8'));
    const key = createPrivateKey(pem);
    const imported = await crypto.subtle.importKey(
      'pkcs8',
      new Uint8Array(key.export({ type: 'pkcs8', format: 'der' })),
      algorithmOf(key),
      false,
      ['sign'],
    );
    return { key: imported, ...(kid === null ? {} : { kid }) };
  } catch (error) {
    // The error of the parser may show a part of the key.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it holds no private key';
    throw new StartError(`${place}.keypath: ${path} cannot be used: ${code}`);
  }
}

function keyOf(text: string): { readonly pem: string; readonly kid: string | null } {
  if (!text.trim().startsWith('{')) return { pem: text, kid: null };
  const { keyId, key } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return { pem: typeof key === 'string' ? key : '', kid: typeof keyId === 'string' ? keyId : null };
}

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const found = ALGORITHMS[key.asymmetricKeyType ?? ''];
  if (found === undefined) throw new Error('the key is of another kind than RSA, EC or Ed25519');
  return found;
}
