import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { Scheduler } from './scheduler.ts';
import type { Job, Priority, Task } from './scheduler.ts';
import type { Time } from './time.ts';

const SILENT = pino({ level: 'silent' });

/** Time that stands still until it is moved, and then wakes whom it should. */
class FakeTime implements Time {
  #elapsedMs = 0;
  #offsetMs = 1_000_000;
  #timers = new Set<{ atMs: number; work: () => void }>();

  readonly nowMs = (): number => this.#offsetMs + this.#elapsedMs;
  readonly elapsedMs = (): number => this.#elapsedMs;

  after(delayMs: number, work: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  async pass(byMs: number): Promise<void> {
    const endMs = this.#elapsedMs + byMs;
    for (;;) {
      await settle();
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#elapsedMs = Math.max(this.#elapsedMs, due.atMs);
      due.work();
    }
    this.#elapsedMs = endMs;
    await settle();
  }

  set(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
}

interface Made {
  readonly job: Job;
  /** Names of tasks in the order they began. */
  readonly begun: string[];
  /** Lets the oldest running task end. */
  end(error?: Error): Promise<void>;
  readonly running: () => number;
}

function make(
  name: string,
  options: { count: number; priority?: Priority; more?: Partial<Job>; log?: string[] },
): Made {
  const begun: string[] = options.log ?? [];
  const gates: PromiseWithResolvers<void>[] = [];
  async function* tasks(): AsyncGenerator<Task> {
    for (let at = 0; at < options.count; at += 1) {
      const task = `${name} ${at}`;
      yield {
        name: task,
        run: async ({ signal }) => {
          begun.push(task);
          const gate = Promise.withResolvers<void>();
          gates.push(gate);
          signal.addEventListener('abort', () => gate.resolve());
          await gate.promise;
        },
      };
    }
  }
  const job: Job = { name, priority: options.priority ?? 'medium', intervalMs: 0, tasks, ...options.more };
  const end = async (error?: Error): Promise<void> => {
    const gate = gates.shift();
    if (error === undefined) gate?.resolve();
    else gate?.reject(error);
    await settle();
  };
  return { job, begun, end, running: () => gates.length };
}

async function withScheduler(
  work: (scheduler: Scheduler, time: FakeTime) => Promise<void>,
  workers = 2,
): Promise<void> {
  const time = new FakeTime();
  const scheduler = new Scheduler({ workers, logger: SILENT, time });
  try {
    await work(scheduler, time);
  } finally {
    await scheduler.close();
  }
}

describe('the scheduler', { timeout: 20_000 }, () => {
  test('runs no more tasks at once than it has workers, and each task once', () =>
    withScheduler(async (scheduler) => {
      const one = make('one', { count: 5 });
      scheduler.add(one.job);
      for (let left = 5; left > 0; left -= 1) {
        await settle();
        assert.equal(one.running(), Math.min(2, left));
        await one.end();
      }
      assert.deepEqual(one.begun, ['one 0', 'one 1', 'one 2', 'one 3', 'one 4']);
    }));

  test('prefers what matters more, and starves nobody', () =>
    withScheduler(async (scheduler) => {
      const log: string[] = [];
      const jobs = (['low', 'medium', 'high'] as const).map((priority) =>
        make(priority, { count: 40, priority, log }),
      );
      for (const { job } of jobs) scheduler.add(job);
      for (let at = 0; at < 150; at += 1) {
        await settle();
        for (const made of jobs) await made.end();
      }
      const half = log.slice(0, 45);
      const countOf = (name: string): number => half.filter((task) => task.startsWith(name)).length;
      assert.ok(countOf('high') > 2 * countOf('medium'), half.join());
      assert.ok(countOf('medium') >= 1);
      assert.equal(log.length, 120);
    }, 1));

  test('keeps the interval from the end of a round, by a clock that nobody can set', () =>
    withScheduler(async (scheduler, time) => {
      const one = make('one', { count: 1, more: { intervalMs: 1000 } });
      scheduler.add(one.job);
      await time.pass(500);
      await one.end();
      time.set(-1_000_000);
      await time.pass(999);
      assert.equal(one.begun.length, 1);
      time.set(5_000_000);
      await time.pass(0);
      assert.equal(one.begun.length, 1);
      await time.pass(1);
      assert.equal(one.begun.length, 2);
      await one.end();
    }));

  test('comes back earlier where a round asks for it', () =>
    withScheduler(async (scheduler, time) => {
      let againMs: number | null = 300;
      const one = make('one', { count: 1, more: { againMs: () => againMs } });
      scheduler.add(one.job);
      await time.pass(0);
      await one.end();
      againMs = null;
      await time.pass(300);
      assert.equal(one.begun.length, 2);
      await one.end();
      await time.pass(1_000_000);
      assert.equal(one.begun.length, 2);
      assert.equal(scheduler.status()[0]?.state, 'done');
    }));

  test('waits for the window of a job, and looks again each minute', () =>
    withScheduler(async (scheduler, time) => {
      let isOpen = false;
      const one = make('one', { count: 1, more: { mayStart: () => isOpen } });
      scheduler.add(one.job);
      await time.pass(59_000);
      isOpen = true;
      assert.equal(one.begun.length, 0);
      await time.pass(1_000);
      assert.equal(one.begun.length, 1);
      await one.end();
    }));

  test('lets a task, or the search for one, fail alone', () =>
    withScheduler(async (scheduler) => {
      const one = make('one', { count: 2 });
      const broken: Job = {
        ...make('broken', { count: 0 }).job,
        // oxlint-disable-next-line require-yield -- a round that fails before its first task is the case
        async *tasks() {
          throw new Error('nothing to be found');
        },
      };
      scheduler.add(one.job);
      scheduler.add(broken);
      const [result, brokenResult] = [scheduler.run('one'), scheduler.run('broken')];
      await settle();
      await one.end(new Error('a task that fails'));
      await one.end();
      assert.deepEqual([(await result).failed, (await result).tasks], [1, 2]);
      assert.equal((await brokenResult).failed, 1);
    }));

  test('joins whoever asks for a round to the one that runs', () =>
    withScheduler(async (scheduler) => {
      const one = make('one', { count: 1 });
      scheduler.add(one.job);
      await settle();
      const asked = [scheduler.run('one'), scheduler.run('one')];
      await one.end();
      const results = await Promise.all(asked);
      assert.equal(results[0], results[1]);
      assert.equal(one.begun.length, 1);
      await assert.rejects(scheduler.run('none'), /no job/);
    }));

  test('ends the round of a job that is taken out or replaced, and answers who waits for it', () =>
    withScheduler(async (scheduler, time) => {
      const one = make('one', { count: 10, more: { intervalMs: 1000 } });
      scheduler.add(one.job);
      await settle();
      const asked = scheduler.run('one');
      const other = make('one', { count: 1 });
      const replaced = scheduler.replace(other.job);
      await settle();
      assert.equal(other.begun.length, 0);
      await one.end();
      await one.end();
      await replaced;
      assert.equal((await asked).tasks, 2);
      await settle();
      assert.deepEqual([one.begun.length, other.begun.length], [2, 1]);
      await other.end();
      await scheduler.remove('one');
      await scheduler.remove('one');
      await time.pass(10_000);
      assert.deepEqual([one.begun.length, scheduler.status().length], [2, 0]);
    }));

  test('tells the tasks of a job that may be interrupted to end when it is taken out, and no others', () =>
    withScheduler(async (scheduler) => {
      const patient = make('patient', { count: 1 });
      const one = make('one', { count: 3, more: { interruptible: true } });
      for (const { job } of [patient, one]) scheduler.add(job);
      await settle();
      const asked = scheduler.run('one');
      await scheduler.remove('one');
      assert.equal((await asked).tasks, 1);
      assert.deepEqual(
        scheduler.status().map(({ name, state, finished }) => [name, state, finished]),
        [['patient', 'running', 0]],
      );
      const again = make('one', { count: 1 });
      await scheduler.replace(again.job);
      await settle();
      assert.deepEqual(again.begun, ['one 0']);
    }, 2));

  test('answers who waits for a job that is taken out before a worker was free', () =>
    withScheduler(async (scheduler) => {
      const [long, one] = [make('long', { count: 1 }), make('one', { count: 1 })];
      scheduler.add(long.job);
      await settle();
      scheduler.add(one.job);
      const asked = scheduler.run('one');
      await scheduler.remove('one');
      assert.equal((await asked).tasks, 0);
      await long.end();
    }, 1));

  test('stops at once: tells its tasks, waits for them, begins nothing more, and leaves nobody waiting', async () => {
    const time = new FakeTime();
    const scheduler = new Scheduler({ workers: 1, logger: SILENT, time });
    let told = false;
    const job: Job = {
      ...make('one', { count: 0 }).job,
      async *tasks({ signal }) {
        for (;;) {
          yield {
            name: 'task',
            run: () =>
              new Promise<void>((resolve) =>
                signal.addEventListener('abort', () => {
                  told = true;
                  resolve();
                }),
              ),
          };
        }
      },
    };
    scheduler.add(job);
    await settle();
    const asked = assert.rejects(scheduler.run('one'), /stopped/);
    await scheduler.close();
    await asked;
    assert.ok(told);
    await assert.rejects(scheduler.run('one'), /stopped/);
  });
});
