import type { Config, StoreConfig } from '#config';
import {
  SettledRepositories,
  SweepClock,
  gcJob,
  gcJobName,
  gcSettings,
  noteEverything,
  systemTime,
} from '#tasks';
import type { GcSettings, Job, RoundResult, Scheduler, SweepParts, SweepReport, UndoParts } from '#tasks';
import { ControlRefusal, flagArgument } from './contract.ts';
import type { ControlCall, ControlCommands, ControlHost } from './contract.ts';

/** `gc.run`: a sweep now, of every store; `dryRun` decides only, `full` looks at everything on the store. */
export function addGcCommands(commands: ControlCommands): void {
  commands.add('gc.run', runGc);
}

/** What a sweep of each store works with. */
export function gcParts(host: ControlHost): SweepParts[] {
  const known = partsOf.get(host) ?? makeParts(host);
  partsOf.set(host, known);
  return known;
}

/** What ends the time of undo, by the clock that sweeps go by. */
export function undoParts(host: ControlHost): UndoParts & Pick<SweepParts, 'index'> {
  const { keeper, index } = host;
  const [parts] = gcParts(host);
  if (parts === undefined) throw new Error('there is no store');
  return { keeper, index, clock: parts.clock };
}

/** One for each host: the sweeps of a process share what they know of their tombstones. */
const partsOf = new WeakMap<ControlHost, SweepParts[]>();

function makeParts(host: ControlHost): SweepParts[] {
  const { storage, index, records, keeper, logger, audit } = host;
  const clock = new SweepClock(systemTime);
  return storage.stores.map((store) => ({
    storage,
    index,
    records,
    keeper,
    logger,
    audit,
    store,
    clock,
    get settings() {
      return settingsInForce(host, store.route);
    },
    settled: new SettledRepositories(),
    serving: host.serving,
  }));
}

/** Compiled once for each configuration and store. */
function settingsInForce({ config }: ControlHost, route: string): GcSettings {
  const ofStores = compiled.get(config) ?? new Map<string, GcSettings>();
  compiled.set(config, ofStores);
  const settings = ofStores.get(route) ?? gcSettings(settingsOf(config, route));
  ofStores.set(route, settings);
  return settings;
}

const compiled = new WeakMap<Config, Map<string, GcSettings>>();

/** The configuration of the store that serves a route; '' is the default store. */
export function settingsOf(config: Config, route: string): StoreConfig | Config['storage'] {
  return config.storage.subPaths[route] ?? config.storage;
}

interface StoreReport extends SweepReport {
  readonly store: string;
}

/** Numbers the sweeps that were asked for: several may run at once. */
let demands = 0;

async function runGc(call: ControlCall): Promise<{ dryRun: boolean; stores: StoreReport[] }> {
  const dryRun = flagArgument(call.args, 'dryRun');
  const stores: StoreReport[] = [];
  for (const parts of gcParts(call.host)) {
    if (flagArgument(call.args, 'full')) await noteEverything(parts, call.signal);
    const settings = dryRun ? { ...parts.settings, dryRun } : parts.settings;
    demands += 1;
    const name = `${gcJobName(parts.store.route)} on demand ${demands}`;
    const place = parts.store.route || 'default';
    const reports: SweepReport[] = [];
    const job = { ...gcJob({ ...parts, settings }, (report) => reports.push(report)), name };
    const result = await runOnce(call.host.scheduler, job);
    if (result.failed > 0)
      throw new ControlRefusal(`the collection of ${place} failed: see the log of the server`);
    for (const report of reports) stores.push({ store: place, ...report });
    call.progress({ store: place });
  }
  return { dryRun, stores };
}

/** Runs one round of a job beside other background work, at its pace. */
async function runOnce(scheduler: Scheduler, job: Job): Promise<RoundResult> {
  scheduler.add({ ...job, intervalMs: 0, mayStart: () => true, againMs: () => null });
  try {
    return await scheduler.run(job.name);
  } finally {
    await scheduler.remove(job.name);
  }
}
