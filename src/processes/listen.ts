import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { StartError } from '#lib/start-error';
import type { HttpServer } from '#http';

const UNIX_PREFIX = 'unix:';

/** Where to listen: a host and a port, or the path of a Unix socket. */
export type ListenAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export function listenAddress(address: string, port: number): ListenAddress {
  if (address.startsWith(UNIX_PREFIX)) return { path: address.slice(UNIX_PREFIX.length) };
  // zot's users write IPv6 addresses in brackets.
  return { host: address.replace(/^\[(.*)\]$/, '$1'), port };
}

/** Opens the port and gives the URL. `shared`: several processes listen on it, and the kernel spreads connections. */
export async function listen(
  server: HttpServer,
  address: ListenAddress,
  options: { readonly secure: boolean; readonly shared: boolean },
): Promise<string> {
  try {
    if ('path' in address) {
      await removeStaleSocket(address.path);
      await server.listen({ path: address.path });
      return `${UNIX_PREFIX}${address.path}`;
    }
    // Handed on to Node as it is; Fastify's type does not know the option yet.
    const shared = { reusePort: options.shared } as object;
    await server.listen({ ...address, ...shared, backlog: 4096 });
    return urlOf(server.server.address() as AddressInfo, options.secure);
  } catch (error) {
    throw listenError(error, address);
  }
}

export function urlOf(bound: AddressInfo, secure: boolean): string {
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `${secure ? 'https' : 'http'}://${host}:${bound.port}`;
}

/** Makes sure that nobody listens there, and resolves port 0. */
export async function claimPort(address: { host: string; port: number }): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, () => resolve());
    });
    const { port } = server.address() as AddressInfo;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  } catch (error) {
    throw listenError(error, address);
  }
}

/** A socket file that nobody answers on was left by a process that is gone. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  // Whatever else has this name is somebody's, and not ours to remove.
  if (!found.isSocket()) throw new StartError(`${path} exists and is no socket: see http.address`);
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
  if (answered) throw new StartError(`the socket ${path} is in use: another process listens on it`);
  rmSync(path, { force: true });
}

function listenError(error: unknown, address: ListenAddress): StartError {
  if (error instanceof StartError) return error;
  const place = 'path' in address ? address.path : `${address.host}:${address.port}`;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reasons: Record<string, string> = {
    EADDRINUSE: 'is in use by another program: stop that, or choose another with http.port',
    EACCES: 'may not be opened by this user: ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'is no address of this machine: see http.address',
    ENOTFOUND: 'is no address of this machine: see http.address',
  };
  const reason =
    reasons[code] ?? `cannot be listened on: ${error instanceof Error ? error.message : String(error)}`;
  return new StartError(`${place} ${reason}`, { cause: error });
}
