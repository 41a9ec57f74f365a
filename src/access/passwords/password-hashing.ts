/**
 * Verifies passwords in a few worker threads, off the event loop.
 *
 * Owns: the threads, started when first needed, and the queue in front of them. The queue is bounded in number and
 * in time; whoever finds no room, or waits too long, gets `HashingBusy`. Addresses take turns; credentials that were
 * right before go first.
 */
import type { Worker } from 'node:worker_threads';
import { startWorker } from '#lib/start-worker';
import { FairQueue } from './fair-queue.ts';
import type { HashingOrder } from './password-worker.ts';

export interface HashingJob extends HashingOrder {
  /** Whose turn it is: the group of the client's address. */
  readonly source: string;
  /** The same credentials were right before. */
  readonly known: boolean;
}

/** There is no room at the moment; to be answered with 429. */
export class HashingBusy extends Error {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('too many passwords wait to be verified');
    this.retryAfterMs = retryAfterMs;
  }
}

interface Waiting {
  readonly order: HashingOrder;
  readonly answer: PromiseWithResolvers<boolean>;
  readonly sinceMs: number;
}

const QUEUED_PER_THREAD_MAX = 256;
const QUEUED_PER_SOURCE_MAX = 16;
const WAIT_MAX_MS = 15_000;
const RETRY_AFTER_MS = 2000;
/** A thread that verifies for longer than this has gone wrong: the dearest hash that is accepted takes some 15 s. */
const ANSWER_MAX_MS = 60_000;
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 8 };

export class PasswordHashing {
  #threads: Thread[];
  #queue: FairQueue<Waiting>;
  #closed = false;

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => new Thread(() => this.#next()));
    this.#queue = new FairQueue({ total: QUEUED_PER_THREAD_MAX * threads, perSource: QUEUED_PER_SOURCE_MAX });
  }

  /** Whether the password fits. Throws `HashingBusy`, or the fault of a thread. */
  async verify(job: HashingJob): Promise<boolean> {
    const { password, stored, source, known } = job;
    const answer = Promise.withResolvers<boolean>();
    const waiting = { order: { password, stored }, answer, sinceMs: performance.now() };
    if (this.#closed || !this.#queue.add(source, waiting, known ? 'fast' : 'fair'))
      throw new HashingBusy(RETRY_AFTER_MS);
    this.#next();
    return answer.promise;
  }

  #next(): void {
    for (const thread of this.#threads) {
      if (thread.busy) continue;
      const waiting = this.#take();
      if (waiting === null) return;
      thread.run(waiting.order, waiting.answer);
    }
  }

  /** The next that has not waited too long. */
  #take(): Waiting | null {
    for (;;) {
      const waiting = this.#queue.take();
      if (waiting === null || performance.now() - waiting.sinceMs <= WAIT_MAX_MS) return waiting;
      waiting.answer.reject(new HashingBusy(RETRY_AFTER_MS));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (let left = this.#queue.take(); left !== null; left = this.#queue.take()) {
      left.answer.reject(new HashingBusy(RETRY_AFTER_MS));
    }
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

class Thread {
  #worker: Worker | null = null;
  #answer: PromiseWithResolvers<boolean> | null = null;
  #deadline: NodeJS.Timeout | undefined;
  #onFree: () => void;

  constructor(onFree: () => void) {
    this.#onFree = onFree;
  }

  get busy(): boolean {
    return this.#answer !== null;
  }

  run(order: HashingOrder, answer: PromiseWithResolvers<boolean>): void {
    this.#answer = answer;
    this.#worker ??= this.#start();
    this.#deadline = setTimeout(() => void this.#worker?.terminate(), ANSWER_MAX_MS);
    this.#deadline.unref();
    // An idle thread does not keep the process alive.
    this.#worker.ref();
    this.#worker.postMessage(order);
  }

  #start(): Worker {
    const source = new URL('./password-worker.ts', import.meta.url);
    const worker = startWorker(source, { name: 'passwords', resourceLimits: RESOURCE_LIMITS, execArgv: [] });
    worker.on('message', (fits: boolean) => this.#settle((answer) => answer.resolve(fits)));
    const gone = (error: Error): void => {
      if (this.#worker !== worker) return;
      // The next password gets a thread of its own.
      this.#worker = null;
      this.#settle((answer) => answer.reject(error));
    };
    worker.on('error', gone);
    worker.on('exit', () => gone(new Error('the thread that verifies passwords ended')));
    return worker;
  }

  #settle(how: (answer: PromiseWithResolvers<boolean>) => void): void {
    const answer = this.#answer;
    if (answer === null) return;
    clearTimeout(this.#deadline);
    this.#answer = null;
    this.#worker?.unref();
    how(answer);
    this.#onFree();
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
    this.#settle((answer) => answer.reject(new HashingBusy(RETRY_AFTER_MS)));
  }
}
