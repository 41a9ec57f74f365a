/**
 * The first process when several serve: it answers nothing itself, so that nothing can bring it down.
 *
 * Owns: the children and the private folder of the keeper's socket. The keeper is started first, then the serving
 * processes; each that ends without being told to is started again, at growing intervals while it keeps failing.
 * Stopping goes the other way round. Children that lose the supervisor stop by themselves.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '#config';
import type { Log } from '#lib/logger';
import { prepareAll } from '#lib/prepared';
import { claimPort, urlOf } from './listen.ts';
import { SupervisedChild } from './supervised-child.ts';
import type { RunningServer } from './single.ts';

/** Beyond the grace of running requests: what a child may take to write down what it holds. */
const STOP_EXTRA_MS = 10_000;

export async function startSupervisor(
  config: Config,
  address: { readonly host: string; readonly port: number },
  log: Log,
): Promise<RunningServer & { reopenLogs(): void; kill(): void }> {
  const port = await claimPort(address);
  const folder = mkdtempSync(join(tmpdir(), 'zot-'));
  const socketPath = join(folder, 'keeper.sock');
  const startOrder = { kind: 'start', config, generation: 1, socketPath, port } as const;
  let generation = 1;
  const graceMs = config.http.shutdownGrace + STOP_EXTRA_MS;
  const keeper = new SupervisedChild('internal-keeper', { ...startOrder, number: 0 }, log.logger);
  const workers = Array.from(
    { length: config.http.workers },
    (_, at) => new SupervisedChild('internal-worker', { ...startOrder, number: at + 1 }, log.logger),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.stop(graceMs)));
    await keeper.stop(graceMs);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await keeper.start();
    await Promise.all(workers.map((worker) => worker.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const family = address.host.includes(':') ? 'IPv6' : 'IPv4';
  return {
    url: urlOf({ address: address.host, family, port }, config.http.tls !== undefined),
    stop,
    prepare: (changed) => {
      generation += 1;
      const number = generation;
      return prepareAll([keeper, ...workers].map((child) => () => child.prepare(number, changed)));
    },
    reopenLogs: () => [keeper, ...workers].forEach((child) => child.send({ kind: 'reopenLogs' })),
    kill: () => [keeper, ...workers].forEach((child) => child.kill()),
  };
}
