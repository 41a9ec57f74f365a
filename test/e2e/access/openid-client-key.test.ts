/** A provider that knows us by a key, not a secret (`keypath`; OpenID Connect Core section 9, private_key_jwt). */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Configuration } from 'oidc-provider';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';
import { CookieJar, signInAtProvider } from './cookie-jar.ts';
import { CLIENT, startIdentityProvider } from './identity-provider.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { FROM_UI } from './sign-in.ts';

const KEY_ID = 'key-of-the-registry';

interface Kind {
  readonly name: string;
  readonly algorithm: string;
  readonly make: () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}

const kinds: readonly Kind[] = [
  { name: 'RSA', algorithm: 'RS256', make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }) },
  { name: 'EC', algorithm: 'ES256', make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  { name: 'Ed25519', algorithm: 'Ed25519', make: () => generateKeyPairSync('ed25519') },
];

describe('a provider that knows us by a key', { timeout: 60_000 }, () => {
  let folder: string;
  let provider: IdentityProvider;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-client-key-'));
    provider = await startIdentityProvider();
    provider.claims.set('amy', { email: 'amy@example.com', email_verified: true });
  });
  after(async () => {
    await provider.close();
    await rm(folder, { recursive: true });
  });

  const open = (keypath: string): Promise<Served> => {
    const { clientid } = CLIENT;
    const oidc = { clientid, keypath, issuer: provider.url, scopes: ['email'] };
    const accessControl = {
      repositories: { '**': { policies: [{ users: ['amy@example.com'], actions: ['read'] }] } },
    };
    return serveRegistry({ http: { auth: { openid: { providers: { oidc } } }, accessControl } });
  };

  /** The provider takes assertions of this key alone, and no secret. */
  const trust = (served: Served, { algorithm }: Kind, publicKey: KeyObject, kid: boolean): void => {
    const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', ...(kid ? { kid: KEY_ID } : {}) };
    const clients = [
      {
        client_id: CLIENT.clientid,
        redirect_uris: [`${served.url}/zot/auth/callback/oidc`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: algorithm,
        jwks: { keys: [jwk] },
      },
    ];
    const signing = ['RS256', 'ES256', 'Ed25519'];
    provider.serve(served.url, {
      clients,
      enabledJWA: { clientAuthSigningAlgValues: signing },
    } as Configuration);
  };

  const signIn = async (served: Served): Promise<{ readonly jar: CookieJar; readonly status: number }> => {
    const jar = new CookieJar();
    const callback = await signInAtProvider(jar, `${served.url}/zot/auth/login?provider=oidc`, 'amy');
    return { jar, status: (await jar.fetch(callback)).status };
  };

  for (const kind of kinds) {
    for (const form of ['PEM', 'JSON']) {
      test(`takes our assertion: ${kind.name}, ${form}`, async () => {
        const { publicKey, privateKey } = kind.make();
        const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
        const file = path.join(folder, `${kind.name}-${form}`);
        await writeFile(
          file,
          form === 'PEM' ? pem : JSON.stringify({ type: 'serviceaccount', keyId: KEY_ID, key: pem }),
        );
        const served = await open(file);
        try {
          trust(served, kind, publicKey, form === 'JSON');
          const { jar, status } = await signIn(served);
          assert.equal(status, 201);
          const answer = await jar.fetch(`${served.url}/v2/app/tags/list`, { headers: FROM_UI });
          assert.equal(answer.status, 404, 'she is known, and there is nothing');
        } finally {
          await served.close();
        }
      });
    }
  }

  test('refuses the assertion of another key, and nobody is signed in', async () => {
    const [kind] = kinds;
    assert.ok(kind);
    const file = path.join(folder, 'other');
    await writeFile(file, String(kind.make().privateKey.export({ type: 'pkcs8', format: 'pem' })));
    const served = await open(file);
    try {
      trust(served, kind, kind.make().publicKey, false);
      const { jar, status } = await signIn(served);
      assert.equal(status, 401);
      assert.equal(jar.value('session'), undefined);
      const last = (await served.auditLines()).findLast(({ action }) => action === 'sign-in');
      assert.match(String(last?.reason), /invalid_client/);
    } finally {
      await served.close();
    }
  });

  test('a file that holds no private key stops the start in words, without showing it', async () => {
    const file = path.join(folder, 'none');
    await writeFile(file, '-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END PRIVATE KEY-----\n');
    for (const keypath of [file, path.join(folder, 'absent')])
      await assert.rejects(open(keypath), (error: Error) => {
        assert.match(error.message, /^http\.auth\.openid\.providers\.oidc\.keypath: .* cannot be used: /);
        assert.ok(!error.message.includes('c2VjcmV0'));
        return true;
      });
  });
});
