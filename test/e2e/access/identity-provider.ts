import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import type { Configuration } from 'oidc-provider';

/** A real OpenID provider (`oidc-provider`) on loopback, with its own pages to sign in at. */
export interface IdentityProvider {
  readonly url: string;
  /** Claims of every user, by what they sign in as; changed by tests as they like. */
  readonly claims: Map<string, Record<string, unknown>>;
  /** Opens it for a client; before that it answers nothing. */
  serve(registryUrl: string, more?: Configuration): void;
  /** Stops answering, as one that is down. */
  pause(): void;
  close(): Promise<void>;
}

export const CLIENT = { clientid: 'zot', clientsecret: 'the-secret-of-zot' } as const;

/** Takes a port; the provider itself is made when the address of the registry is known. */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  let handler: RequestListener | null = null;
  const server: Server = createServer((request, response) => {
    if (handler === null) response.writeHead(503).end();
    else handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const claims = new Map<string, Record<string, unknown>>();
  return {
    url,
    claims,
    serve(registryUrl, more = {}) {
      const provider = new Provider(url, { ...configuration(registryUrl, claims), ...more });
      // It warns of its own pages and keys, which are for development.
      const callback = provider.callback();
      handler = (request, response) => void callback(request, response);
    },
    pause: () => (handler = null),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function configuration(
  registryUrl: string,
  claims: ReadonlyMap<string, Record<string, unknown>>,
): Configuration {
  return {
    clients: [
      {
        client_id: CLIENT.clientid,
        client_secret: CLIENT.clientsecret,
        redirect_uris: ['oidc', 'gitlab'].map((name) => `${registryUrl}/zot/auth/callback/${name}`),
        post_logout_redirect_uris: [`${registryUrl}/login`],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'team'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access'],
    cookies: { keys: ['of a test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...claims.get(id) }) }),
  };
}
