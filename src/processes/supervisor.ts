/**
 * The first process when several serve: it answers nothing itself, so that nothing can bring it down.
 *
 * Owns: the children and the private folder of the keeper's socket. The keeper is started first, then the serving
 * processes; each that ends without being told to is started again, at growing intervals while it keeps failing.
 * Stopping goes the other way round. Children that lose the supervisor stop by themselves.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '#config';
import type { Log, Logger } from '#lib/logger';
import { selfCommand } from '#lib/self-command';
import { StartError } from '#lib/start-error';
import { claimPort, urlOf } from './listen.ts';
import type { FromChild, ToChild } from './messages.ts';
import type { RunningServer } from './single.ts';

const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** A child that lived this long is not failing in a loop. */
const SETTLED_MS = 10_000;
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
  const startOrder = { kind: 'start', config, socketPath, port } as const;
  const graceMs = config.http.shutdownGrace + STOP_EXTRA_MS;
  const keeper = new Child('internal-keeper', { ...startOrder, number: 0 }, log.logger);
  const workers = Array.from(
    { length: config.http.workers },
    (_, at) => new Child('internal-worker', { ...startOrder, number: at + 1 }, log.logger),
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
    reopenLogs: () => [keeper, ...workers].forEach((child) => child.send({ kind: 'reopenLogs' })),
    kill: () => [keeper, ...workers].forEach((child) => child.kill()),
  };
}

class Child {
  #command: string;
  #order: Extract<ToChild, { kind: 'start' }>;
  #logger: Logger;
  #process: ChildProcess | null = null;
  #stopping = false;
  #delayMs = RESTART_MIN_MS;
  #restart: NodeJS.Timeout | undefined;

  constructor(command: string, order: Extract<ToChild, { kind: 'start' }>, logger: Logger) {
    this.#command = command;
    this.#order = order;
    this.#logger = logger;
  }

  /** Settles when the child is ready; throws `StartError` with its own words when it cannot start. */
  start(): Promise<void> {
    const { file, args } = selfCommand();
    const child = spawn(file, [...args, this.#command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? '16' },
    });
    this.#process = child;
    const startedMs = performance.now();
    const ready = Promise.withResolvers<void>();
    child.on('message', (message: FromChild) => {
      if (message.kind === 'ready') ready.resolve();
      else ready.reject(new StartError(message.message));
    });
    child.on('error', (error) =>
      ready.reject(new StartError(`a process could not be started: ${error.message}`)),
    );
    child.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      ready.reject(new StartError(`a process of the server ended at its start (${how}); its log says why`));
      this.#ended(how, performance.now() - startedMs);
    });
    child.send(this.#order);
    // A restart has nobody who waits for it.
    ready.promise.catch((error: unknown) =>
      this.#logger.error({ error, child: this.#command }, 'a process is not ready'),
    );
    return ready.promise;
  }

  #ended(how: string, livedMs: number): void {
    this.#process = null;
    if (this.#stopping) return;
    this.#delayMs = livedMs > SETTLED_MS ? RESTART_MIN_MS : Math.min(RESTART_MAX_MS, this.#delayMs * 2);
    this.#logger.error(
      { child: this.#command, number: this.#order.number, how },
      'a process ended and is started again',
    );
    this.#restart = setTimeout(() => void this.start().catch(() => undefined), this.#delayMs);
  }

  send(message: ToChild): void {
    if (this.#process?.connected) this.#process.send(message);
  }

  /** Tells the child to stop and waits until it is gone; after `graceMs` it is killed. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#process;
    if (child === null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.send({ kind: 'stop' });
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    this.#process?.kill('SIGKILL');
  }
}
