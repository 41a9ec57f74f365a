import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { askServer } from '../../src/control/control-client.ts';
import { controlSocketPath } from '../../src/control/socket-path.ts';

export interface SweepCounts {
  readonly blobs: number;
  readonly buried: number;
}

export interface JobView {
  readonly name: string;
  readonly state: string;
  readonly last: { readonly elapsedMs: number; readonly summary: string; readonly failed: number } | null;
}

/** Asks the server of a storage folder for a command of the command line, as `zot gc` and `zot tasks` do. */
async function ask(root: string, command: string, args: Record<string, unknown>): Promise<unknown> {
  const answered = await askServer(controlSocketPath(join(root, '_zot')), { command, args }, () => undefined);
  if (answered === null) throw new Error(`nobody serves ${root}`);
  return answered.result;
}

/** One sweep of garbage; `full` looks at everything on the store. */
export async function sweep(root: string, options: { readonly full: boolean }): Promise<SweepCounts> {
  const { stores } = (await ask(root, 'gc.run', { full: options.full })) as { stores: SweepCounts[] };
  const [store] = stores;
  if (store === undefined) throw new Error('the sweep reported nothing');
  return store;
}

/** Reads all stored bytes; given up when the signal says so. */
export function scrub(root: string, signal: AbortSignal): Promise<void> {
  return begin(root, signal, { command: 'scrub.run', args: {} });
}

/** Judges every tag by a rule that keeps all of them, as each round of retention does; given up by the signal. */
export function judgeTags(root: string, signal: AbortSignal): Promise<void> {
  const keepTags = [{ patterns: ['.*'], mostRecentlyPushedCount: 1000, mostRecentlyPulledCount: 1000 }];
  const policies = [{ repositories: ['**'], deleteReferrers: true, deleteUntagged: true, keepTags }];
  const retention = { dryRun: false, delay: 0, policies };
  const store = { gc: true, gcDelay: 0, gcInterval: 0, gcTimeWindow: '', retention };
  return begin(root, signal, { command: 'retention.preview', args: { stores: { '': store } } });
}

/** A command that is ended as by a user who goes away. */
async function begin(root: string, signal: AbortSignal, request: object): Promise<void> {
  const socket = connect(controlSocketPath(join(root, '_zot')));
  const over = once(socket, 'close');
  const giveUp = (): void => void socket.destroy();
  signal.addEventListener('abort', giveUp);
  socket.write(`${JSON.stringify(request)}\n`);
  socket.resume();
  await over;
  signal.removeEventListener('abort', giveUp);
}

export async function jobs(root: string): Promise<JobView[]> {
  return ((await ask(root, 'tasks.list', {})) as { jobs: JobView[] }).jobs;
}
