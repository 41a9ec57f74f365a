import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { NO_AUDIT } from '#lib/audit-log';
import type { StorageDriver } from '#storage';
import { DedupePass, SettledRepositories, Sweep, SweepClock, emptyPassReport, emptyReport } from '#tasks';
import type { GcSettings, PassParts, PassReport, SweepParts, SweepReport } from '#tasks';
import { openRegistry } from '../support/opened-registry.ts';
import type { OpenOptions, OpenedRegistry } from '../support/opened-registry.ts';
import { DatedDriver } from './dated-driver.ts';

export const DELAY_MS = 3_600_000;

/** A wall clock that tests set, over a steady one that only they move. */
export class TestClock {
  #steadyMs = 1000;
  #offsetMs = Date.UTC(2026, 0, 1);

  readonly nowMs = (): number => this.#offsetMs + this.#steadyMs;
  readonly elapsedMs = (): number => this.#steadyMs;
  readonly after = (): (() => void) => () => undefined;

  advance(byMs: number): void {
    this.#steadyMs += byMs;
  }

  /** Sets the wall clock: time does not pass. */
  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

export const settings: GcSettings = {
  enabled: true,
  delayMs: DELAY_MS,
  manifestDelayMs: DELAY_MS,
  intervalMs: 0,
  window: null,
  dryRun: false,
  retention: { policies: [], policyOf: () => null },
  rulesOf: () => ({ deleteUntagged: true, deleteReferrers: true }),
};

type CollectedOptions = Pick<OpenOptions, 'wrapIndex' | 'quotas' | 'dedupe'>;

/** A registry whose garbage a test collects, step by step or at once, by a clock of its own. */
export class CollectedRegistry {
  readonly clock = new TestClock();
  readonly root: string;
  readonly driver: DatedDriver;
  readonly #options: CollectedOptions;
  #opened: OpenedRegistry | null = null;
  #sweepClock = new SweepClock(this.clock);
  #settled = new SettledRepositories();

  private constructor(root: string, driver: StorageDriver, options: CollectedOptions) {
    this.root = root;
    this.driver = new DatedDriver(driver, this.clock.nowMs);
    this.#options = options;
  }

  /** `make` gives the driver for a folder that is gone after `remove`. */
  static async open(
    make: (root: string) => StorageDriver,
    wrapIndex?: CollectedOptions['wrapIndex'],
    more: CollectedOptions = {},
  ): Promise<CollectedRegistry> {
    const root = await mkdtemp(join(tmpdir(), 'zot-gc-'));
    const collected = new CollectedRegistry(root, make(root), {
      ...more,
      ...(wrapIndex === undefined ? {} : { wrapIndex }),
    });
    await collected.start();
    return collected;
  }

  get opened(): OpenedRegistry {
    if (this.#opened === null) throw new Error('it is not open');
    return this.#opened;
  }

  async start(): Promise<void> {
    const { root, driver } = this;
    const options = { root, driver, durable: false, nowMs: this.clock.nowMs, ...this.#options };
    this.#opened = await openRegistry(options);
    this.#sweepClock = new SweepClock(this.clock);
    this.#settled = new SettledRepositories();
  }

  async stop(): Promise<void> {
    await this.#opened?.close();
    this.#opened = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.root, { recursive: true, force: true });
  }

  parts(more: Partial<SweepParts> = {}): SweepParts {
    const { storage, index, records, keeper } = this.opened;
    return {
      storage,
      index,
      records,
      audit: NO_AUDIT,
      keeper,
      logger: pino({ level: 'silent' }),
      clock: this.#sweepClock,
      store: storage.stores[0] as SweepParts['store'],
      settings,
      settled: this.#settled,
      serving: true,
      ...more,
    };
  }

  /** One sweep; `pause` is awaited between its steps. */
  async sweep(
    pause = async (): Promise<void> => undefined,
    more: Partial<SweepParts> = {},
  ): Promise<SweepReport> {
    const report = emptyReport();
    await this.opened.registry.uploads.noteBegun();
    await new Sweep(this.parts(more), { signal: new AbortController().signal, pause }, report).run();
    return report;
  }

  /** Switches the sharing of equal blobs, and makes what is stored follow; `pause` is awaited between the steps. */
  async dedupe(on: boolean, pause = async (): Promise<void> => undefined): Promise<PassReport> {
    const { storage, index, keeper } = this.opened;
    const store = storage.stores[0] as PassParts['store'];
    store.dedupe = on;
    const logger = pino({ level: 'silent' });
    const spaceLimit = { bytes: 0, share: 0 };
    const parts = { storage, index, keeper, logger, store, ready: Promise.resolve(), spaceLimit };
    const report = emptyPassReport();
    const context = { signal: new AbortController().signal, pause };
    await new DedupePass(on ? 'link' : 'restore', parts, context, report).run('');
    return report;
  }

  /** Lets time pass and sweeps until nothing can be left to collect. */
  async collectAll(): Promise<void> {
    for (let round = 0; round < 5; round += 1) {
      this.clock.advance(DELAY_MS * 1.5);
      await this.sweep();
    }
  }
}
