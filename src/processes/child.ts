import type { Config } from '#config';
import { openLog } from '#lib/logger';
import type { Log } from '#lib/logger';
import type { Prepared } from '#lib/prepared';
import { StartError } from '#lib/start-error';
import { trimMemoryWhenReady } from '#lib/trim-memory';
import { tuneHeap } from '#lib/tune-heap';
import { ChildGenerations } from './child-generations.ts';
import type { GenerationOrder } from './child-generations.ts';
import type { FromChild, ToChild } from './messages.ts';

type Start = Extract<ToChild, { kind: 'start' }>;

export interface ChildWork {
  /** Ends the work; running requests may finish. */
  stop(): Promise<void>;
  /** Makes a changed configuration ready to be in force. */
  prepare(config: Config): Promise<Prepared>;
}

/**
 * The life of a process under the supervisor: waits for its configuration, starts, says that it is ready, and stops
 * when told to or when the supervisor is gone. Signals are the supervisor's business: a terminal or a service
 * manager sends them to all processes of the group at once.
 */
export async function runChild(
  name: string,
  start: (order: Start, log: Log) => Promise<ChildWork>,
): Promise<number> {
  tuneHeap();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)
    process.on(signal, () => undefined);
  const orders = new OrderQueue();
  const order = await orders.start;
  const label = order.number === 0 ? name : `${name}-${order.number}`;
  const log = openLog({ ...order.config.log, process: label });
  const fail = (error: unknown): void => {
    log.logger.fatal({ error }, 'a fault ends this process; the supervisor starts another');
    void log.flush().then(() => process.exit(70));
  };
  process.on('uncaughtException', fail);
  orders.onReopen = () => log.reopen();
  try {
    const work = await start(order, log);
    const generations = new ChildGenerations({
      prepare: (config) => work.prepare(config),
      log,
      tell,
      fail,
    });
    orders.onGeneration = (change) => generations.receive(change);
    tell({ kind: 'ready' });
    trimMemoryWhenReady();
    await orders.stop;
    await work.stop();
    return 0;
  } catch (error) {
    if (error instanceof StartError) tell({ kind: 'failed', message: error.message });
    else log.logger.fatal({ error }, 'the process could not start');
    return 1;
  } finally {
    await log.flush();
    // The open channel would keep the process alive.
    if (process.connected) process.disconnect?.();
  }
}

class OrderQueue {
  readonly start: Promise<Start>;
  readonly stop: Promise<void>;
  onReopen: () => void = () => undefined;
  /** None come before the process has said that it is ready. */
  onGeneration: (order: GenerationOrder) => void = () => undefined;

  constructor() {
    const started = Promise.withResolvers<Start>();
    const stopped = Promise.withResolvers<void>();
    this.start = started.promise;
    this.stop = stopped.promise;
    process.on('message', (message: ToChild) => {
      if (message.kind === 'start') started.resolve(message);
      else if (message.kind === 'stop') stopped.resolve();
      else if (message.kind === 'reopenLogs') this.onReopen();
      else this.onGeneration(message);
    });
    process.on('disconnect', () => stopped.resolve());
  }
}

function tell(message: FromChild): void {
  if (process.connected) process.send?.(message);
}
