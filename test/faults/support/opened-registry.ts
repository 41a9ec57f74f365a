import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openIndexForWriting, openRecords } from '#metadata';
import type { DamageList, History, IndexWriter, Records } from '#metadata';
import { isUnder } from '#oci/repo-prefix';
import { LocalKeeper, Registry, noHooks, walkStorage } from '#registry';
import type { Quota } from '#registry';
import { OWN_FOLDER, Storage } from '#storage';
import type { StorageDriver } from '#storage';

export interface OpenedRegistry {
  readonly registry: Registry;
  readonly keeper: LocalKeeper;
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
  /** Damage that was reported: repository, digest, problem. */
  readonly reports: string[];
  close(): Promise<void>;
  /** Closes the databases alone, as the kernel does when a process dies. */
  abandon(): Promise<void>;
}

export interface OpenOptions {
  /** Where the databases are: a folder of the machine, whatever the driver is. */
  readonly root: string;
  readonly driver: StorageDriver;
  readonly durable: boolean;
  /** Store equal blobs once. */
  readonly dedupe?: boolean;
  /** Further stores, by their route: `/a`. */
  readonly subPaths?: Readonly<Record<string, StorageDriver>>;
  /** Instead of the clock of the machine. */
  readonly nowMs?: () => number;
  /** Limits on bytes; their counts are compared with the files before it is open. */
  readonly quotas?: readonly Quota[];
  /** Stands between the keeper and its index. */
  readonly wrapIndex?: (index: IndexWriter) => IndexWriter;
  /** Stands between the keeper and the history of tags. */
  readonly wrapHistory?: (history: History) => History;
  /** Stands between the keeper and the list of damage of the records. */
  readonly wrapDamage?: (damage: DamageList) => DamageList;
}

/** Records with other parts. */
function withParts(records: Records, parts: Pick<Records, 'history' | 'damage'>): Records {
  return new Proxy(records, {
    get: (target, name) => {
      if (name === 'history' || name === 'damage') return parts[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The registry's operations in this process, without HTTP, after the first look at the storage. */
export async function openRegistry(options: OpenOptions): Promise<OpenedRegistry> {
  const folder = join(options.root, OWN_FOLDER);
  await mkdir(folder, { recursive: true });
  const reports: string[] = [];
  const opened = openIndexForWriting(folder, (reason) => reports.push(`index rebuilt: ${reason}`));
  const index = options.wrapIndex?.(opened) ?? opened;
  const plain = openRecords(folder);
  const history = options.wrapHistory?.(plain.history) ?? plain.history;
  const damage = options.wrapDamage?.(plain.damage) ?? plain.damage;
  const records = withParts(plain, { history, damage });
  const settings = { durable: options.durable, dedupe: options.dedupe ?? false };
  const subPaths = Object.entries(options.subPaths ?? {}).map(([route, driver]) => ({
    route,
    driver,
    ...settings,
  }));
  const storage = new Storage([{ route: '', driver: options.driver, ...settings }, ...subPaths]);
  const report = (repo: string, digest: string | null, problem: string): void => {
    reports.push(`${repo} ${digest ?? ''} ${problem}`);
  };
  const { nowMs = Date.now, quotas = [] } = options;
  const keeper = new LocalKeeper({ storage, index, records, report, nowMs });
  await keeper.damage.join();
  const registry = new Registry({
    storage,
    index,
    keeper,
    hooks: noHooks(),
    readOnly: false,
    isUnderQuota: (repo) => quotas.some(({ prefix }) => isUnder(repo, prefix)),
    uploadKey: Buffer.alloc(32),
    spaceLimit: { bytes: 0, share: 0 },
    report: (problem, error) => reports.push(`${problem}: ${String(error)}`),
  });
  await keeper.repositories.resume();
  const { before, beside } = await keeper.quotas.open(quotas);
  await walkStorage({
    storage,
    index,
    keeper,
    report: (path, error) => reports.push(`${path}: ${String(error)}`),
    progress: () => undefined,
    signal: new AbortController().signal,
  });
  keeper.markWalked();
  await keeper.quotas.compare([...before, ...beside]);
  return {
    registry,
    keeper,
    storage,
    index,
    records,
    reports,
    close: async () => {
      await registry.close();
      await keeper.close();
      await index.close();
      await records.close();
    },
    abandon: async () => {
      await index.close();
      await records.close();
    },
  };
}
