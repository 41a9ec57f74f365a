import { KeyedLock } from '#lib/keyed-lock';
import { isFullDatabase } from '#metadata';
import type { DiskReserve } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { Storage } from '#storage';
import type { Operation } from './operation.ts';
import { RepositoryQueue } from './repository-queue.ts';
import type { QueueParts } from './repository-queue.ts';

/** The queues of all repositories, and the lock of each blob: the way by which everything is changed. */
export class Changes {
  #storage: Storage;
  #parts: QueueParts;
  #reserve: DiskReserve | null;
  #queues = new Map<RepoName, RepositoryQueue>();
  #blobs = new KeyedLock();

  constructor(storage: Storage, parts: QueueParts, reserve: DiskReserve | null) {
    this.#storage = storage;
    this.#parts = parts;
    this.#reserve = reserve;
  }

  /** Naming and removing a blob's bytes exclude each other, so that file and row always agree. */
  onBlob<Result>(repo: RepoName, digest: Digest, work: () => Promise<Result>): Promise<Result> {
    return this.#blobs.run(`${repo} ${digest}`, work);
  }

  /** Settles when the operation is committed, or was refused. */
  async change(repo: RepoName, operation: Operation): Promise<void> {
    let queue = this.#queues.get(repo);
    if (queue === undefined) {
      queue = new RepositoryQueue(this.#storage.repository(repo), this.#parts);
      this.#queues.set(repo, queue);
    }
    try {
      await this.#run(queue, operation);
    } finally {
      if (queue.idle && this.#queues.get(repo) === queue) this.#queues.delete(repo);
    }
  }

  /** What frees room may need some first: on a full disk the reserve is given up for it. */
  async #run(queue: RepositoryQueue, operation: Operation): Promise<void> {
    const freesRoom = operation.kind !== 'push' && operation.kind !== 'refresh';
    if (!freesRoom || this.#reserve === null) return queue.run(operation);
    return this.#reserve.with(() => queue.run(operation), isFull);
  }
}

function isFull(error: unknown): boolean {
  return error instanceof StorageError ? error.fault === 'full' : isFullDatabase(error);
}
