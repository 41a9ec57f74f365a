import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nowSeconds, sign } from '../../e2e/access/token-server.ts';
import type { SigningKey } from '../../e2e/access/token-server.ts';

/** A token server of the Docker token protocol, as people run beside a registry. */
export interface TokenServer {
  readonly realm: string;
  /** The scopes that were asked for, one text for each request. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/** Gives tokens for whatever is asked to whoever shows this name and password. */
export async function startTokenServer(
  key: SigningKey,
  user: { readonly name: string; readonly password: string },
): Promise<TokenServer> {
  const asked: string[] = [];
  const right = `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    let form = '';
    request.on('data', (chunk: Buffer) => (form += chunk.toString()));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://here');
      const query = request.method === 'POST' ? new URLSearchParams(form) : url.searchParams;
      const isPassword = query.get('username') === user.name && query.get('password') === user.password;
      if (request.headers.authorization !== right && !isPassword) {
        response.writeHead(401).end();
        return;
      }
      const scopes = query.getAll('scope').join(' ');
      asked.push(scopes);
      void tokenFor(key, user.name, query.get('service') ?? '', scopes).then((token) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ token, access_token: token, expires_in: 120 }));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    // By name: crane follows no realm that is a private address.
    realm: `http://localhost:${port}/token`,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function tokenFor(key: SigningKey, sub: string, aud: string, scopes: string): Promise<string> {
  const access = scopes
    .split(' ')
    .filter((scope) => scope !== '')
    .map((scope) => {
      const [type, name, actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',') };
    });
  const iat = nowSeconds();
  return sign(key, { iss: 'token server of a test', sub, aud, access, iat, nbf: iat, exp: iat + 120 });
}
