import type { DamageKind, DamagePlace } from '#metadata';
import { ReadRate, ScrubPass, emptyCounts, freshState, scrubJob, systemTime } from '#tasks';
import type { ImageVerdict, Job, ScrubCounts, ScrubParts, TaskContext } from '#tasks';
import { ControlRefusal } from './contract.ts';
import type { ControlCall, ControlCommands, ControlHost } from './contract.ts';

export interface ScrubSettings {
  readonly intervalMs: number;
  /** Bytes read in a second at most, all stores together; 0: no bound. */
  readonly bytesPerSecond: number;
}

/** Damage that a report names; there may be more. */
const DAMAGE_NAMED_MAX = 10_000;
const AFFECTED_NAMED_MAX = 10_000;
const PAGE = 500;
const DEFAULT_BYTES_PER_SECOND = 64 * 1024 * 1024;
/** Without clients nobody has to be given way to: a slice is as long as the pass. */
const NO_PAUSE = (): Promise<void> => Promise.resolve();

/** What a scrub found, for people and programs. */
export interface ScrubReport extends ScrubCounts {
  /** Images that are not whole, the first ones of them. */
  readonly affectedImages: readonly ImageVerdict[];
  /** All that is known to be damaged afterwards, the first of it. */
  readonly damage: readonly {
    readonly repository: string;
    readonly digest: string;
    readonly kind: DamageKind;
    readonly detail: string;
    readonly found: string;
  }[];
}

/** `scrub.run`: reads all stored bytes now; each image that was judged is told on the way. */
export function addScrubCommands(commands: ControlCommands): void {
  commands.add('scrub.run', runScrub);
}

/** The periodic scrubs of all stores, which share one rate. */
export function scrubJobs(host: ControlHost, settings: ScrubSettings): Job[] {
  if (host.config.storage.readOnly) return [];
  const rate = new ReadRate(settings.bytesPerSecond, systemTime);
  return partsOf(host, rate, () => undefined).map((parts) => scrubJob(parts, settings.intervalMs));
}

function partsOf(host: ControlHost, rate: ReadRate, onImage: ScrubParts['onImage']): ScrubParts[] {
  const { storage, index, keeper, logger, walked: ready } = host;
  return storage.stores.map((store) => {
    return { storage, index, keeper, logger, store, ready, rate, onImage, time: systemTime };
  });
}

/** Numbers the scrubs that were asked for: several may run at once. */
let demands = 0;

async function runScrub(call: ControlCall): Promise<ScrubReport> {
  const { host, progress } = call;
  const affectedImages: ImageVerdict[] = [];
  const onImage = (image: ImageVerdict): void => {
    if (image.status === 'affected' && affectedImages.length < AFFECTED_NAMED_MAX) affectedImages.push(image);
    progress({ image });
  };
  const configured = host.config.extensions?.scrub?.rate ?? DEFAULT_BYTES_PER_SECOND;
  const rate = new ReadRate(host.serving ? configured : 0, systemTime);
  const total = emptyCounts();
  for (const parts of partsOf(host, rate, onImage)) {
    const pass = new ScrubPass(parts, freshState(systemTime.nowMs()));
    await (host.serving ? runBeside(pass, call) : runAlone(pass, call));
    if (!pass.isOver) throw new ControlRefusal('the scrub was stopped before its end');
    for (const name of Object.keys(total) as (keyof ScrubCounts)[]) total[name] += pass.counts[name];
  }
  return { ...total, affectedImages, damage: await damageOf(host) };
}

async function runAlone(pass: ScrubPass, { signal }: ControlCall): Promise<void> {
  await pass.run({ signal, pause: NO_PAUSE }, Infinity, NO_PAUSE);
}

/** As background work beside others, at its pace; ends when the user goes away. */
async function runBeside(pass: ScrubPass, { host, signal }: ControlCall): Promise<void> {
  demands += 1;
  const name = `scrub on demand ${demands}`;
  let failed = false;
  const run = async (context: TaskContext): Promise<void> => {
    const either = AbortSignal.any([context.signal, signal]);
    try {
      await pass.run({ ...context, signal: either }, 10_000, NO_PAUSE);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  host.scheduler.add({
    name,
    priority: 'low',
    intervalMs: 0,
    interruptible: true,
    oneAtATime: true,
    async *tasks() {
      while (!pass.isOver && !signal.aborted && !failed)
        yield { name: `${name} ${pass.current}`.trim(), run };
    },
  });
  try {
    await host.scheduler.run(name);
    if (failed) throw new ControlRefusal('the scrub failed: see the log of the server');
  } finally {
    await host.scheduler.remove(name);
  }
}

async function damageOf({ index }: ControlHost): Promise<ScrubReport['damage']> {
  const damage: ScrubReport['damage'][number][] = [];
  for (let after: DamagePlace | null = null; damage.length < DAMAGE_NAMED_MAX;) {
    const page = await index.listDamage({ after, limit: PAGE });
    for (const { repo, digest, kind, detail, foundMs } of page)
      damage.push({ repository: repo, digest, kind, detail, found: new Date(foundMs).toISOString() });
    after = page.at(-1) ?? null;
    if (after === null) break;
  }
  return damage;
}
