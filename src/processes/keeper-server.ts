import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Logger } from '#lib/logger';
import { USER_METHODS } from '#registry';
import type { Keeper, UploadRef } from '#registry';
import { readFrames, writeFrame } from './frames.ts';
import { uploadKey } from './keeper-wire.ts';
import type { FromKeeper, ToKeeper, WireMethod } from './keeper-wire.ts';
import { toWire } from './wire-errors.ts';

const METHODS: ReadonlySet<WireMethod> = new Set<WireMethod>([
  'claimUpload',
  'releaseUpload',
  'reserveUpload',
  'quotaStatus',
  'removeRepository',
  'renameRepository',
  'finishUpload',
  'noteUploads',
  'cancelUpload',
  'mountBlob',
  'deleteBlob',
  'pushManifest',
  'deleteManifest',
  'listTagEvents',
  'refresh',
  'lookAt',
  'addPulls',
  'probe',
  ...USER_METHODS.map((name) => `users.${name}` as const),
]);

/** Serves the keeper to the serving processes on a Unix socket; a connection that ends gives its claims back. */
export function serveKeeper(keeper: Keeper, socketPath: string, logger: Logger): Promise<Server> {
  const server = createServer((socket) => new Connection(keeper, socket, logger));
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen(socketPath, () => resolve(server));
  return promise;
}

/** Serves the keeper on a connection that came another way. */
export function attachKeeper(keeper: Keeper, socket: Socket, logger: Logger): void {
  new Connection(keeper, socket, logger);
  socket.resume();
}

class Connection {
  #keeper: Keeper;
  #socket: Socket;
  #claims = new Map<string, UploadRef>();

  constructor(keeper: Keeper, socket: Socket, logger: Logger) {
    this.#keeper = keeper;
    this.#socket = socket;
    readFrames(socket, (message) => void this.#answer(message as ToKeeper));
    socket.on('error', (error) =>
      logger.warn({ component: 'keeper', error }, 'a connection to the keeper failed'),
    );
    socket.on('close', () => void this.#giveBack());
  }

  async #answer(call: ToKeeper): Promise<void> {
    try {
      if (!METHODS.has(call.method)) throw new Error(`the keeper has no method ${String(call.method)}`);
      const value = await this.#call(call);
      this.#send({ kind: 'result', id: call.id, value });
    } catch (error) {
      this.#send({ kind: 'error', id: call.id, error: toWire(error) });
    }
  }

  async #call(call: ToKeeper): Promise<unknown> {
    const [first] = call.args;
    if (call.method === 'claimUpload') return this.#claim(first as UploadRef, call.id);
    if (call.method === 'releaseUpload' || call.method === 'finishUpload') {
      // Whoever lost its claim with an earlier keeper must not end the claim of somebody else.
      const key = uploadKey(first as UploadRef);
      if (call.method === 'releaseUpload' && !this.#claims.has(key)) return undefined;
      const value = await this.#forward(call);
      this.#claims.delete(key);
      return value;
    }
    return this.#forward(call);
  }

  #forward(call: ToKeeper): Promise<unknown> {
    const [name, desk] = call.method.split('.').toReversed();
    const owner = desk === 'users' ? this.#keeper.users : this.#keeper;
    // Only names of METHODS come this far.
    const method = Reflect.get(owner, name ?? '') as (...args: readonly unknown[]) => Promise<unknown>;
    return method.apply(owner, [...call.args]);
  }

  async #claim(upload: UploadRef, id: number): Promise<unknown> {
    const progress = await this.#keeper.claimUpload(upload, () => this.#send({ kind: 'revoke', id }));
    this.#claims.set(uploadKey(upload), upload);
    if (this.#socket.destroyed) await this.#giveBack();
    return progress;
  }

  async #giveBack(): Promise<void> {
    const claims = [...this.#claims.values()];
    this.#claims.clear();
    for (const upload of claims) await this.#keeper.releaseUpload(upload, null);
  }

  #send(message: FromKeeper): void {
    if (!this.#socket.destroyed) writeFrame(this.#socket, message);
  }
}
