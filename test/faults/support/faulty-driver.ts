import { setTimeout as pause } from 'node:timers/promises';
import { StorageError } from '#storage';
import type { FileReader, FileStat, FileWriter, StorageDriver, StorageFault } from '#storage';

/** Calls that can fail: the driver's, and those of the files it opens. */
export type FaultyCall =
  | Exclude<keyof StorageDriver, 'name' | 'flags' | 'close'>
  | 'readRange'
  | 'write'
  | 'sync'
  | 'closeWriter';

/** What goes wrong, and with which call. */
export interface FaultPlan {
  /** Which call, from 1: the n-th of its kind, or the n-th of all. */
  readonly at: number;
  /** Absent: calls of every kind are counted together. */
  readonly call?: FaultyCall;
  readonly fault: StorageFault;
  /**
   * `before`: nothing was done. `after`: all was done, and only the answer is lost. `short`: a write took half of its
   * bytes; other calls as `before`, since they are whole or not at all.
   */
  readonly when: 'before' | 'after' | 'short';
  /** Every later call fails as well, as on a disk that stays full. */
  readonly forGood?: boolean;
}

/**
 * Any driver, with one call (or all from one on) failing by plan, and with calls that can be held up. Counts calls,
 * so that a test can run an operation with a fault at every one of them.
 */
export class FaultyDriver implements StorageDriver {
  readonly name: string;
  readonly flags: StorageDriver['flags'];
  /** Every call so far, as `call path`. */
  readonly calls: string[] = [];
  #inner: StorageDriver;
  #plan: FaultPlan | null = null;
  #counted = 0;
  #failed = 0;
  #delayMs = 0;
  #held = new Map<FaultyCall, Promise<void>>();

  constructor(inner: StorageDriver) {
    this.name = inner.name;
    this.flags = inner.flags;
    this.#inner = inner;
  }

  /** Starts counting anew, with a plan or without one. */
  arm(plan: FaultPlan | null): void {
    this.#plan = plan;
    this.#counted = 0;
    this.calls.length = 0;
  }

  /** How many calls failed by plan since the driver was made. */
  get failed(): number {
    return this.#failed;
  }

  /** Makes every call wait so long before it does anything; 0: none. */
  slowDown(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Lets calls of a kind wait, before they do anything, until the promise settles. */
  hold(call: FaultyCall, until: Promise<void>): void {
    this.#held.set(call, until);
    void until.finally(() => this.#held.delete(call));
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#run('stat', path, () => this.#inner.stat(path));
  }

  read(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    return this.#run('read', path, () => this.#inner.read(path, sizeBytesMax));
  }

  async openReader(path: string): Promise<FileReader | null> {
    const reader = await this.#run('openReader', path, () => this.#inner.openReader(path));
    if (reader === null) return null;
    return {
      sizeBytes: reader.sizeBytes,
      modifiedMs: reader.modifiedMs,
      read: (buffer, position) => this.#run('readRange', path, () => reader.read(buffer, position)),
      close: () => reader.close(),
    };
  }

  async *list(path: string): ReturnType<StorageDriver['list']> {
    await this.#run('list', path, async () => undefined);
    yield* this.#inner.list(path);
  }

  put(...[path, chunks, options]: Parameters<StorageDriver['put']>): Promise<FileStat> {
    return this.#run('put', path, () => this.#inner.put(path, chunks, options));
  }

  async createWriter(path: string): Promise<FileWriter> {
    return this.#writer(path, await this.#run('createWriter', path, () => this.#inner.createWriter(path)));
  }

  async openWriter(path: string): Promise<FileWriter | null> {
    const writer = await this.#run('openWriter', path, () => this.#inner.openWriter(path));
    return writer === null ? null : this.#writer(path, writer);
  }

  move(...[from, to, options]: Parameters<StorageDriver['move']>): Promise<void> {
    return this.#run('move', to, () => this.#inner.move(from, to, options));
  }

  link(...[from, to, options]: Parameters<StorageDriver['link']>): Promise<void> {
    return this.#run('link', to, () => this.#inner.link(from, to, options));
  }

  delete(...[path, options]: Parameters<StorageDriver['delete']>): Promise<boolean> {
    return this.#run('delete', path, () => this.#inner.delete(path, options));
  }

  removeEmptyFolder(path: string): Promise<boolean> {
    return this.#run('removeEmptyFolder', path, () => this.#inner.removeEmptyFolder(path));
  }

  freeSpace(): ReturnType<StorageDriver['freeSpace']> {
    return this.#run('freeSpace', '', () => this.#inner.freeSpace());
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #writer(path: string, writer: FileWriter): FileWriter {
    return {
      get sizeBytes() {
        return writer.sizeBytes;
      },
      write: (buffer) => {
        const half = (): Promise<void> => writer.write(buffer.subarray(0, buffer.length >> 1));
        return this.#run('write', path, () => writer.write(buffer), half);
      },
      sync: () => this.#run('sync', path, () => writer.sync()),
      close: () => this.#run('closeWriter', path, () => writer.close()),
    };
  }

  async #run<Result>(
    call: FaultyCall,
    path: string,
    work: () => Promise<Result>,
    half?: () => Promise<void>,
  ): Promise<Result> {
    this.calls.push(`${call} ${path}`);
    const plan = this.#takePlan(call);
    await this.#held.get(call);
    if (this.#delayMs > 0) await pause(this.#delayMs);
    if (plan === null) return work();
    this.#failed += 1;
    if (plan.when === 'after') await work();
    if (plan.when === 'short') await half?.();
    // A file that is closed badly is closed all the same: tests must not run out of descriptors.
    if (call === 'closeWriter' && plan.when !== 'after') await work();
    throw new StorageError(plan.fault, path, { message: `planned ${plan.fault} at ${call} ${path}` });
  }

  #takePlan(call: FaultyCall): FaultPlan | null {
    const plan = this.#plan;
    if (plan === null || (plan.call !== undefined && plan.call !== call)) return null;
    this.#counted += 1;
    const hit = plan.forGood === true ? this.#counted >= plan.at : this.#counted === plan.at;
    return hit ? plan : null;
  }
}

/** One way to fail, without the place. */
export type FaultKind = Pick<FaultPlan, 'fault' | 'when' | 'forGood'>;

/** What may befall any call: no space, no permission, a failing device, a lost answer, a short write. */
export const FAULT_KINDS: readonly FaultKind[] = [
  { fault: 'full', when: 'before' },
  { fault: 'full', when: 'short' },
  { fault: 'full', when: 'before', forGood: true },
  { fault: 'unavailable', when: 'before' },
  { fault: 'unavailable', when: 'after' },
  { fault: 'denied', when: 'before' },
];

/**
 * Runs an operation with a fault at every one of its calls in turn. `attempt` gets a fresh driver that is armed, and
 * must disarm it (`arm(null)`) before it looks at what is left. Gives the number of attempts.
 */
export async function withFaultAtEveryCall(options: {
  readonly kind: FaultKind;
  readonly open: () => Promise<FaultyDriver>;
  readonly attempt: (driver: FaultyDriver, at: number) => Promise<void>;
  /** A bound for operations that would never end. */
  readonly callsMax: number;
}): Promise<number> {
  for (let at = 1; at <= options.callsMax; at += 1) {
    const driver = await options.open();
    driver.arm({ ...options.kind, at });
    await options.attempt(driver, at);
    // The operation has fewer calls than that: every one has failed once.
    if (driver.failed === 0) return at - 1;
  }
  throw new Error(`the operation makes more than ${options.callsMax} calls`);
}
