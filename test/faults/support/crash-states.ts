import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { ROOT } from './disk-log.ts';
import type { DiskEvent, DiskLog, NodeId } from './disk-log.ts';
import { SeededRandom } from './seeded-random.ts';

export interface CrashOptions {
  readonly seed: number;
  /** States looked at for each moment of the history; where more are possible, a sample. */
  readonly statesPerMomentMax: number;
}

/** One thing that a power cut may leave. */
export interface CrashState<Promised> {
  /** The moment, and what was lost, for the message of a failing test. */
  readonly description: string;
  /** What the program had acknowledged by then. */
  readonly promised: readonly Promised[];
  /** Every file that is left, by path below the root. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** Something a power cut decides: one of these contents for a file, or one of these nodes for a name. */
type Choice =
  | { readonly file: NodeId; readonly options: readonly Buffer[] }
  | { readonly folder: NodeId; readonly name: string; readonly options: readonly (NodeId | null)[] };

const SECTOR = 512;
const PAGE = 4096;

/**
 * What may be on the disk after a power cut at each moment. Of a file everything that was not synced may be there,
 * missing, torn at a sector or page, zero, or written out of order; of a folder each name that was not synced may be
 * the old one or any later one, on its own. Renames are atomic for the name they give, and for nothing more.
 */
export function* crashStates<Promised>(
  log: DiskLog<Promised>,
  options: CrashOptions,
): Iterable<CrashState<Promised>> {
  const random = new SeededRandom(options.seed);
  for (let moment = 0; moment <= log.events.length; moment += 1) {
    // What is promised next must hold in the same states; so the moment after it is enough.
    if (log.events[moment]?.kind === 'promise') continue;
    yield* statesAt(log, moment, options.statesPerMomentMax, random);
  }
}

function* statesAt<Promised>(
  log: DiskLog<Promised>,
  moment: number,
  statesMax: number,
  random: SeededRandom,
): Iterable<CrashState<Promised>> {
  const past = log.events.slice(0, moment);
  const promised = past.flatMap((event) => (event.kind === 'promise' ? [event.promised] : []));
  const choices = [...fileChoices(past, random), ...nameChoices(past)];
  for (const picked of pick(choices, statesMax, random)) {
    const lost = choices.flatMap((choice, at) => describe(choice, picked[at] ?? 0));
    const when = `a power cut after ${moment} of ${log.events.length} effects`;
    const description = `${when}; ${lost.join(', ') || 'nothing lost'}`;
    yield { description, promised, files: materialise(choices, picked, log) };
  }
}

/** Combinations: all of them, or the corners, everything that differs from a corner in one place, and a sample. */
function* pick(choices: readonly Choice[], statesMax: number, random: SeededRandom): Iterable<number[]> {
  const oldest = choices.map(() => 0);
  const newest = choices.map(({ options }) => options.length - 1);
  const combinations = choices.reduce((product, { options }) => Math.min(product * options.length, 1e9), 1);
  if (combinations <= statesMax) {
    for (let number = 0; number < combinations; number += 1) yield digitsOf(number, choices);
    return;
  }
  const candidates: number[][] = [oldest, newest];
  for (const [at, { options }] of choices.entries()) {
    for (let option = 0; option < options.length; option += 1) {
      candidates.push(oldest.with(at, option), newest.with(at, option));
    }
  }
  yield* candidates.slice(0, 2);
  for (let count = 2; count < statesMax; count += 1) {
    const some = random.below(2) === 0 ? candidates[random.below(candidates.length)] : undefined;
    yield some ?? choices.map(({ options }) => random.below(options.length));
  }
}

function digitsOf(number: number, choices: readonly Choice[]): number[] {
  let rest = number;
  return choices.map(({ options }) => {
    const digit = rest % options.length;
    rest = Math.floor(rest / options.length);
    return digit;
  });
}

function fileChoices(past: readonly DiskEvent<unknown>[], random: SeededRandom): Choice[] {
  const writes = Map.groupBy(
    past.entries().filter(([, event]) => event.kind === 'write'),
    ([, event]) => nodeOf(event),
  );
  return [...writes].map(([file, events]) => {
    const durableBefore = syncedBefore(past, file);
    const safe = events.filter(([at]) => at < durableBefore).map(([, event]) => event);
    const unsafe = events.filter(([at]) => at >= durableBefore).map(([, event]) => event);
    return { file, options: distinct(contents(safe, unsafe, random)) };
  });
}

function nameChoices(past: readonly DiskEvent<unknown>[]): Choice[] {
  const entries = past.entries().filter(([, event]) => event.kind === 'entry');
  const names = Map.groupBy(entries, ([, event]) =>
    event.kind === 'entry' ? `${event.folder}/${event.name}` : '',
  );
  return [...names.values()].map((events) => {
    const [, first] = events[0] ?? [];
    if (first?.kind !== 'entry') throw new Error('a name without an event');
    const durableBefore = syncedBefore(past, first.folder);
    const safe = events.filter(([at]) => at < durableBefore).at(-1)?.[1];
    const nodes = [safe, ...events.filter(([at]) => at >= durableBefore).map(([, event]) => event)];
    const options = nodes.map((event) => (event?.kind === 'entry' ? event.node : null));
    return { folder: first.folder, name: first.name, options: [...new Set(options)] };
  });
}

/** Events of a node before this place are on the disk for good. */
function syncedBefore(past: readonly DiskEvent<unknown>[], node: NodeId): number {
  return past.reduce(
    (most, event) => (event.kind === 'sync' && event.node === node ? Math.max(most, event.covers) : most),
    0,
  );
}

function nodeOf(event: DiskEvent<unknown>): NodeId {
  return event.kind === 'write' ? event.file : ROOT;
}

/** What a file may hold, from nothing that was not synced to everything. */
function contents(
  safe: readonly DiskEvent<unknown>[],
  unsafe: readonly DiskEvent<unknown>[],
  random: SeededRandom,
): Buffer[] {
  const base = apply(Buffer.alloc(0), safe);
  const whole = apply(base, unsafe);
  if (unsafe.length === 0) return [whole];
  const torn = [SECTOR, PAGE].flatMap((size) => tornAt(base, whole, size, random));
  // The size is on the disk and the bytes are not; or the last write is, and those before it are not.
  const zeros = Buffer.concat([base, Buffer.alloc(Math.max(0, whole.length - base.length))]);
  return [base, zeros, ...torn, apply(zeros, unsafe.slice(-1)), whole];
}

function apply(base: Buffer, writes: readonly DiskEvent<unknown>[]): Buffer {
  const sizeBytes = writes.reduce(
    (most, event) => (event.kind === 'write' ? Math.max(most, event.position + event.bytes.length) : most),
    base.length,
  );
  const content = Buffer.alloc(sizeBytes);
  base.copy(content);
  for (const event of writes) if (event.kind === 'write') event.bytes.copy(content, event.position);
  return content;
}

/** The first blocks only, with and without the final size; and any of the blocks, the others still old or zero. */
function tornAt(base: Buffer, whole: Buffer, size: number, random: SeededRandom): Buffer[] {
  const blocks = Math.ceil(whole.length / size);
  if (blocks < 2) return [];
  const cut = size * (1 + random.below(blocks - 1));
  const zeros = Buffer.concat([base, Buffer.alloc(Math.max(0, whole.length - base.length))]);
  const mixed = Buffer.from(zeros);
  for (let at = 0; at < whole.length; at += size)
    if (random.below(2) === 0) whole.copy(mixed, at, at, at + size);
  return [whole.subarray(0, cut), Buffer.concat([whole.subarray(0, cut), zeros.subarray(cut)]), mixed];
}

function distinct(all: readonly Buffer[]): Buffer[] {
  return all.filter(
    (content, at) => at === all.length - 1 || !all.slice(at + 1).some((later) => later.equals(content)),
  );
}

function describe(choice: Choice, picked: number): string[] {
  if (picked === choice.options.length - 1) return [];
  if ('file' in choice)
    return [`bytes of file ${choice.file} lost (way ${picked} of ${choice.options.length})`];
  return [`"${choice.name}" of folder ${choice.folder} is ${choice.options[picked] ?? 'not there'}`];
}

function materialise(
  choices: readonly Choice[],
  picked: readonly number[],
  log: DiskLog<unknown>,
): Map<string, Buffer> {
  const contentOf = new Map<NodeId, Buffer>();
  const entriesOf = new Map<NodeId, [name: string, node: NodeId][]>();
  for (const [at, choice] of choices.entries()) {
    const option = choice.options[picked[at] ?? 0] ?? null;
    if (option === null) continue;
    if ('file' in choice && Buffer.isBuffer(option)) contentOf.set(choice.file, option);
    if ('folder' in choice && typeof option === 'number') {
      entriesOf.set(choice.folder, [...(entriesOf.get(choice.folder) ?? []), [choice.name, option]]);
    }
  }
  const files = new Map<string, Buffer>();
  const walk = (folder: NodeId, prefix: string): void => {
    for (const [name, node] of entriesOf.get(folder) ?? []) {
      if (log.isFolder(node)) walk(node, `${prefix}${name}/`);
      else files.set(prefix + name, contentOf.get(node) ?? Buffer.alloc(0));
    }
  };
  walk(ROOT, '');
  return files;
}

/** A crash state as a store that can be opened. */
export async function memoryOf(state: CrashState<unknown>): Promise<MemoryDriver> {
  const driver = new MemoryDriver();
  for (const [path, content] of state.files)
    await driver.put(path, [content], { durable: false, stagingPath: '' });
  return driver;
}

/** Writes a crash state into an empty folder, for programs that open folders. */
export async function writeState(state: CrashState<unknown>, folder: string): Promise<void> {
  for (const [path, content] of state.files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}
