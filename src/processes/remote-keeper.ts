import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { RegistryError, forwardingUserDesk } from '#registry';
import type { Keeper, ManifestPush, RevokeReason, UploadProgress, UploadRef, UserDesk } from '#registry';
import { readFrames, writeFrame } from './frames.ts';
import { uploadKey } from './keeper-wire.ts';
import type { FromKeeper, KeeperMethod, WireMethod } from './keeper-wire.ts';
import { fromWire } from './wire-errors.ts';

type Args<Method extends KeeperMethod> = Parameters<Keeper[Method]>;
type Result<Method extends KeeperMethod> = Awaited<ReturnType<Keeper[Method]>>;

/** How long a call waits for a keeper that is being started again. */
const CONNECT_TIMEOUT_MS = 5000;
const RETRY_MS = 50;
/** Calls that wait for an answer at once; more are refused rather than gathered without bound. */
const PENDING_MAX = 20_000;

/**
 * The keeper as seen from a serving process. A call that was under way when the keeper went away fails with
 * `UNAVAILABLE` (503, with Retry-After), since nobody knows whether it was carried out; later calls wait for the
 * next keeper. Claims end with the connection, and their holders are told.
 */
export class RemoteKeeper implements Keeper {
  readonly users: UserDesk = forwardingUserDesk((method, args) => this.#send(`users.${method}`, args));
  #path: string;
  #socket: Promise<Socket> | null = null;
  #pending = new Map<number, PromiseWithResolvers<unknown>>();
  /** By the id of the call that claimed an upload: who has to let go. */
  #revokers = new Map<number, (why: RevokeReason) => void>();
  #claims = new Map<string, number>();
  #nextId = 1;
  #closed = false;
  #attached = 0;
  #onReplaced: () => void = () => undefined;
  #greet: (socket: Socket) => Promise<void>;

  /** `greet` makes a connection one of the keeper, where the socket is not its own. */
  constructor(socketPath: string, greet: (socket: Socket) => Promise<void> = async () => undefined) {
    this.#path = socketPath;
    this.#greet = greet;
  }

  async claimUpload(
    upload: UploadRef,
    onRevoke: (why: RevokeReason) => void,
  ): Promise<UploadProgress | null> {
    const id = this.#nextId;
    // Before the call, since the order to let go may follow the answer at once.
    this.#revokers.set(id, onRevoke);
    try {
      // The callback stays here; the keeper's end of the call has none.
      const progress = await this.#call('claimUpload', [upload] as unknown as Args<'claimUpload'>, id);
      this.#claims.set(uploadKey(upload), id);
      return progress;
    } catch (error) {
      this.#revokers.delete(id);
      throw error;
    }
  }

  async releaseUpload(upload: UploadRef, progress: UploadProgress | null): Promise<void> {
    // A claim that ended with its keeper is not known to the next one.
    if (this.#endClaim(upload)) await this.#call('releaseUpload', [upload, progress]);
  }

  async finishUpload(...args: Args<'finishUpload'>): Promise<void> {
    await this.#call('finishUpload', args);
    this.#endClaim(args[0]);
  }

  /** Gives whether there was a claim. */
  #endClaim(upload: UploadRef): boolean {
    const id = this.#claims.get(uploadKey(upload));
    if (id === undefined) return false;
    this.#claims.delete(uploadKey(upload));
    this.#revokers.delete(id);
    return true;
  }

  reserveUpload(...args: Args<'reserveUpload'>): Promise<number> {
    return this.#call('reserveUpload', args);
  }

  quotaStatus(): Promise<Result<'quotaStatus'>> {
    return this.#call('quotaStatus', []);
  }

  removeRepository(...args: Args<'removeRepository'>): Promise<Result<'removeRepository'>> {
    return this.#call('removeRepository', args);
  }

  renameRepository(...args: Args<'renameRepository'>): Promise<Result<'renameRepository'>> {
    return this.#call('renameRepository', args);
  }

  noteUploads(...args: Args<'noteUploads'>): Promise<void> {
    return this.#call('noteUploads', args);
  }

  cancelUpload(...args: Args<'cancelUpload'>): Promise<boolean> {
    return this.#call('cancelUpload', args);
  }

  mountBlob(...args: Args<'mountBlob'>): Promise<boolean> {
    return this.#call('mountBlob', args);
  }

  deleteBlob(...args: Args<'deleteBlob'>): Promise<void> {
    return this.#call('deleteBlob', args);
  }

  pushManifest(push: ManifestPush): Promise<void> {
    return this.#call('pushManifest', [push]);
  }

  deleteManifest(...args: Args<'deleteManifest'>): Promise<void> {
    return this.#call('deleteManifest', args);
  }

  listTagEvents(...args: Args<'listTagEvents'>): Promise<Result<'listTagEvents'>> {
    return this.#call('listTagEvents', args);
  }

  refresh(...args: Args<'refresh'>): Promise<void> {
    return this.#call('refresh', args);
  }

  lookAt(...args: Args<'lookAt'>): Promise<boolean | null> {
    return this.#call('lookAt', args);
  }

  addPulls(...args: Args<'addPulls'>): Promise<void> {
    return this.#call('addPulls', args);
  }

  probe(): Promise<{ readonly walked: boolean }> {
    return this.#call('probe', []);
  }

  /** Waits until the keeper answers; used once, at the start. */
  async connect(): Promise<void> {
    await this.#connected();
  }

  /** Hears when another keeper has taken the place of the one before. */
  onReplaced(listener: () => void): void {
    this.#onReplaced = listener;
  }

  async close(): Promise<void> {
    this.#closed = true;
    // A connection that never came about needs no end.
    const socket = await this.#socket?.catch(() => null);
    socket?.destroy();
  }

  async #call<Method extends KeeperMethod>(
    method: Method,
    args: Args<Method>,
    id = this.#nextId,
  ): Promise<Result<Method>> {
    return (await this.#send(method, args, id)) as Result<Method>;
  }

  async #send(method: WireMethod, args: readonly unknown[], id = this.#nextId): Promise<unknown> {
    this.#nextId = Math.max(this.#nextId, id) + 1;
    if (this.#pending.size >= PENDING_MAX) throw unavailable('too many requests wait for the keeper');
    const socket = await this.#connected();
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(id, answer);
    writeFrame(socket, { id, method, args });
    return answer.promise;
  }

  #connected(): Promise<Socket> {
    this.#socket ??= this.#connect();
    return this.#socket;
  }

  async #connect(): Promise<Socket> {
    const deadlineMs = performance.now() + CONNECT_TIMEOUT_MS;
    for (;;) {
      const socket = await attempt(this.#path);
      if (socket !== null) return this.#attach(await this.#greeted(socket));
      if (this.#closed || performance.now() > deadlineMs) {
        this.#socket = null;
        throw unavailable('the keeper is not running');
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #greeted(socket: Socket): Promise<Socket> {
    try {
      await this.#greet(socket);
      return socket;
    } catch (error) {
      this.#socket = null;
      socket.destroy();
      throw error;
    }
  }

  #attach(socket: Socket): Socket {
    this.#attached += 1;
    if (this.#attached > 1) this.#onReplaced();
    readFrames(socket, (message) => this.#receive(message as FromKeeper));
    socket.on('close', () => this.#lose());
    socket.resume();
    socket.unref();
    return socket;
  }

  #receive(message: FromKeeper): void {
    if (message.kind === 'revoke') return this.#revokers.get(message.id)?.('wanted');
    const answer = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'result') answer?.resolve(message.value);
    else answer?.reject(fromWire(message.error));
  }

  #lose(): void {
    this.#socket = null;
    const pending = [...this.#pending.values()];
    const revokers = [...this.#revokers.values()];
    this.#pending.clear();
    this.#revokers.clear();
    this.#claims.clear();
    for (const answer of pending) answer.reject(unavailable('the keeper went away'));
    for (const revoke of revokers) revoke('keeper gone');
  }
}

function attempt(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.off('error', absent);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
    const absent = (): void => resolve(null);
    socket.once('error', absent);
  });
}

function unavailable(message: string): RegistryError {
  return new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 1 });
}
