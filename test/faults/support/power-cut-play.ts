import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Registry } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { writeState } from './crash-states.ts';
import type { CrashState } from './crash-states.ts';
import { readLayouts } from './layout-truth.ts';
import { openRegistry } from './opened-registry.ts';
import type { OpenedRegistry } from './opened-registry.ts';
import { PowerCutDisk } from './power-cut-disk.ts';
import type { PowerCutOptions } from './power-cut-disk.ts';
import type { Disk, Promised } from './promising-client.ts';
import { SeededRandom } from './seeded-random.ts';
import { roundsOr } from './settings.ts';

const ROUNDS = roundsOr(1);
/** States that are looked at in one history; all that are possible would be thousands. */
const STATES_MAX = 90;
const STATES_PER_MOMENT = 12;

export interface History {
  readonly title: string;
  /** Whether equal blobs are stored once, at the beginning. */
  readonly dedupe?: boolean;
  /** Instead of the clock of the machine. */
  readonly nowMs?: () => number;
  readonly run: (opened: OpenedRegistry, disk: Disk) => Promise<void>;
}

export interface Judged {
  readonly states: number;
  readonly faults: readonly string[];
}

/** Plays a history on a disk, and starts a registry on states that the disk may be left in. */
export async function play(history: History, options: PowerCutOptions): Promise<Judged> {
  const disk: Disk = await PowerCutDisk.create<Promised>(options);
  const databases = await mkdtemp(join(tmpdir(), 'zot-power-cut-databases-'));
  try {
    const driver = new LocalDriver(disk.root, disk);
    const { dedupe = false, nowMs = Date.now } = history;
    const opened = await openRegistry({ root: databases, driver, durable: true, dedupe, nowMs });
    await history.run(opened, disk);
    await opened.close();
    const states = [...disk.crashStates({ seed: options.seed, statesPerMomentMax: STATES_PER_MOMENT })];
    const random = new SeededRandom(options.seed);
    const chosen = sample(states, STATES_MAX * ROUNDS, random);
    const faults: string[] = [];
    for (const [at, state] of chosen.entries()) {
      const withIndex = at % 3 === 0 ? databases : null;
      faults.push(...(await faultsOf(state, withIndex)));
      if (faults.length > 0) break;
    }
    return { states: chosen.length, faults };
  } finally {
    await disk.remove();
    await rm(databases, { recursive: true, force: true });
  }
}

/** Some of the states, those after the last acknowledgement among them. */
function sample<State>(states: readonly State[], most: number, random: SeededRandom): State[] {
  if (states.length <= most) return [...states];
  const late = states.slice(-Math.ceil(most / 4));
  const early = Array.from({ length: most - late.length }, () => states[random.below(states.length)]);
  return [...early.filter((state) => state !== undefined), ...late];
}

/**
 * Starts a registry on a state. `databases`: with the index of the end of the history, which may be ahead of what the
 * disk kept, or another than the disk's, since index.db is not synced.
 */
async function faultsOf(state: CrashState<Promised>, databases: string | null): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'zot-power-cut-state-'));
  try {
    await mkdir(root, { recursive: true });
    await writeState(state, root);
    if (databases !== null)
      await cp(join(databases, OWN_FOLDER), join(root, OWN_FOLDER), { recursive: true });
    const opened = await openRegistry({ root, driver: new LocalDriver(root), durable: true });
    try {
      const broken = await brokenPromises(state.promised, opened.registry);
      broken.push(...(await readLayouts(root)).faults);
      return broken.map(
        (fault) => `${fault} (${state.description}; index ${databases === null ? 'new' : 'kept'})`,
      );
    } finally {
      await opened.close();
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function brokenPromises(promised: readonly Promised[], registry: Registry): Promise<string[]> {
  const broken: string[] = [];
  for (const holds of promised) {
    const lost = await holds(registry).catch((error: unknown) => String(error));
    if (lost !== null) broken.push(lost);
  }
  return broken;
}
