import { KeyedLock } from '#lib/keyed-lock';
import { isFullDatabase } from '#metadata';
import type { DiskReserve } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Storage } from '#storage';
import type { Operation, Plan } from './plans/operation.ts';
import { RepositoryGates } from './repositories/repository-gates.ts';
import { RepositoryQueue } from './repository-queue.ts';
import type { QueueParts } from './repository-queue.ts';

/** The queues of all repositories, and the lock of each blob: the way by which everything is changed. */
export class Changes {
  #storage: Storage;
  #parts: QueueParts;
  #reserve: DiskReserve | null;
  #queues = new Map<RepoName, RepositoryQueue>();
  #blobs = new KeyedLock();
  #gates = new RepositoryGates();

  constructor(storage: Storage, parts: QueueParts, reserve: DiskReserve | null) {
    this.#storage = storage;
    this.#parts = parts;
    this.#reserve = reserve;
  }

  /** Naming and removing a blob's bytes exclude each other, so that file and row always agree. */
  onBlob<Result>(repo: RepoName, digest: Digest, work: () => Promise<Result>): Promise<Result> {
    return this.#gates.pass(repo, () => this.#blobs.run(`${repo} ${digest}`, work));
  }

  /** Runs work on whole repositories while nothing else changes them; what it changes itself goes the usual way. */
  whileClosed<Result>(repos: readonly RepoName[], work: () => Promise<Result>): Promise<Result> {
    return this.#gates.closed(repos, work);
  }

  /** Begins work that nobody waits for who is in the middle of a change. */
  afterwards<Result>(work: () => Result): Result {
    return this.#gates.outside(work);
  }

  /** Forgets the serialised index.json of a repository whose name stands for another one now. */
  forgetChunks(repo: RepoName): void {
    this.#parts.chunks.delete(repo);
  }

  /** Settles when the operation is committed, or was refused. */
  async change(repo: RepoName, operation: Operation): Promise<void> {
    await this.carryOut(repo, operation);
  }

  /** As `change`; gives what was done. */
  carryOut(repo: RepoName, operation: Operation): Promise<Plan> {
    return this.#gates.pass(repo, () => this.#queue(repo, operation));
  }

  async #queue(repo: RepoName, operation: Operation): Promise<Plan> {
    let queue = this.#queues.get(repo);
    if (queue === undefined) {
      queue = new RepositoryQueue(this.#storage.repository(repo), this.#parts);
      this.#queues.set(repo, queue);
    }
    try {
      return await this.#run(queue, operation);
    } finally {
      if (queue.idle && this.#queues.get(repo) === queue) this.#queues.delete(repo);
    }
  }

  async #run(queue: RepositoryQueue, operation: Operation): Promise<Plan> {
    const freesRoom = operation.kind !== 'push' && operation.kind !== 'refresh';
    return freesRoom ? this.freeingRoom(() => queue.run(operation)) : queue.run(operation);
  }

  /** Runs work that frees room, on a full disk with the reserve given up for it; then it may run twice. */
  freeingRoom<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#reserve === null ? work() : this.#reserve.with(work, isFull);
  }
}

function isFull(error: unknown): boolean {
  return error instanceof StorageError ? error.fault === 'full' : isFullDatabase(error);
}
