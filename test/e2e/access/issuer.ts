import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestCertificates } from '../../support/tls.ts';
import { nowSeconds, sign, signingKey } from './token-server.ts';
import type { Claims, SigningKey } from './token-server.ts';

/** An OIDC issuer of a test: a document, a key set, and tokens. */
export interface Issuer {
  readonly url: string;
  /** Key set and document requests so far. */
  readonly requests: readonly string[];
  /** The issuer that the document names, when not `url`. */
  named: string | null;
  /** The address of the key set, when not its own. */
  jwksUri: string | null;
  keys: Map<string, SigningKey>;
  token(claims?: Claims, header?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

/** Starts an issuer on loopback; with certificates by TLS. */
export async function startIssuer(certificates?: TestCertificates): Promise<Issuer> {
  const requests: string[] = [];
  const keys = new Map([['first', signingKey('ES256')]]);
  const answer: RequestListener = (request, response) => {
    requests.push(request.url ?? '');
    response.setHeader('content-type', 'application/json');
    if (request.url === '/.well-known/openid-configuration') {
      response.end(
        JSON.stringify({
          issuer: issuer.named ?? issuer.url,
          jwks_uri: issuer.jwksUri ?? `${issuer.url}/keys`,
        }),
      );
    } else if (request.url === '/keys') {
      const list = [...issuer.keys].map(([kid, key]) => ({
        ...key.publicKey.export({ format: 'jwk' }),
        kid,
        use: 'sig',
      }));
      response.end(JSON.stringify({ keys: [...list, { kty: 'oct', k: 'AAAA', kid: 'first' }] }));
    } else response.writeHead(404).end();
  };
  const server: Server =
    certificates === undefined
      ? createServer(answer)
      : createTlsServer(
          { cert: readFileSync(certificates.certFile), key: readFileSync(certificates.keyFile) },
          answer,
        );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer: Issuer = {
    url: `${certificates === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    named: null,
    jwksUri: null,
    keys,
    async token(claims = {}, header = {}) {
      const [[kid, key] = []] = issuer.keys;
      if (key === undefined) throw new Error('the issuer has no key');
      const usual = { iss: issuer.url, aud: 'zot', sub: 'job', iat: nowSeconds(), exp: nowSeconds() + 300 };
      return await sign(key, { ...usual, ...claims }, { kid, ...header });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}
