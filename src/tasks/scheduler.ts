/**
 * Background work: jobs give rounds of small tasks, a bounded number of tasks runs at once.
 *
 * Owns: which job's task comes next, the pace of background work, and what is shown of it. Invariants: (1) at most
 * `workers` tasks run; (2) a job's next round begins only when its last one is over; (3) a task that fails fails
 * alone; (4) after `close` nothing runs and nothing will.
 * Fairness: of the jobs that have a task to give, the one with the largest 10^priority / (1 + tasks of this round).
 */
import type { Logger } from '#lib/logger';
import { Pace } from './pace.ts';
import { systemTime } from './time.ts';
import type { Time } from './time.ts';

export type Priority = 'high' | 'medium' | 'low';

export interface TaskContext {
  /** Aborted when the scheduler stops; a task must end soon after. */
  readonly signal: AbortSignal;
  /** To be awaited between small steps: gives way to requests and keeps background work to its share of the time. */
  pause(): Promise<void>;
}

export interface Task {
  /** Names what is worked on, for logs: `gc team/app`. */
  readonly name: string;
  run(context: TaskContext): Promise<void>;
}

export interface Job {
  readonly name: string;
  readonly priority: Priority;
  /** From the end of a round to the start of the next; 0: one round after the start. */
  readonly intervalMs: number;
  /** Whether a round may begin at this moment (time windows); asked again every minute while it says no. */
  mayStart?(nowMs: number): boolean;
  /** The tasks of one round, asked for one at a time when there is room to run it. */
  tasks(context: TaskContext): AsyncIterable<Task>;
  /** Asked when a round has ended: when another is due at the latest, whatever the interval; `null`: no matter. */
  againMs?(): number | null;
  /** One line about the round that has just ended, for logs and `zot tasks`. */
  summary?(): string;
  /** How far it is behind, from 0 (not at all) to 1: its share of the time grows with it. Asked at each pause. */
  urgency?(): number;
  /** Whether its tasks are told to end when it is taken out or replaced, instead of being awaited to their end. */
  readonly interruptible?: boolean;
  /** Whether a task is asked for only when the one before has ended. */
  readonly oneAtATime?: boolean;
}

export interface RoundResult {
  readonly startedMs: number;
  readonly elapsedMs: number;
  readonly tasks: number;
  readonly failed: number;
  readonly summary: string;
}

export interface JobStatus {
  readonly name: string;
  readonly priority: Priority;
  readonly state: 'waiting' | 'running' | 'done';
  /** When the next round is due; `null` when none is. */
  readonly nextRoundMs: number | null;
  readonly running: readonly string[];
  /** Tasks that the current round has finished. */
  readonly finished: number;
  readonly last: RoundResult | null;
}

export interface SchedulerOptions {
  readonly workers: number;
  readonly logger: Logger;
  readonly time?: Time;
}

const WEIGHTS: Readonly<Record<Priority, number>> = { high: 100, medium: 10, low: 1 };
const ASK_AGAIN_MS = 60_000;
const STOPPED = 'the scheduler stopped';

class JobState {
  readonly job: Job;
  readonly abort = new AbortController();
  readonly context: TaskContext;
  iterator: AsyncIterator<Task> | null = null;
  /** By the steady clock, so that a wall clock that is set does not hold work up or hurry it. */
  dueMs: number | null;
  startedMs = 0;
  startedElapsedMs = 0;
  given = 0;
  finished = 0;
  failed = 0;
  asking = false;
  exhausted = false;
  readonly running = new Set<string>();
  last: RoundResult | null = null;
  waiters: PromiseWithResolvers<RoundResult>[] = [];
  /** Set when the job is taken out; settles when its round is over. */
  removed: PromiseWithResolvers<void> | null = null;

  constructor(job: Job, dueMs: number, context: Pick<TaskContext, 'signal'> & { readonly pace: Pace }) {
    this.job = job;
    this.dueMs = dueMs;
    const signal = AbortSignal.any([context.signal, this.abort.signal]);
    this.context = { signal, pause: () => context.pace.pause(signal, job.urgency?.()) };
  }

  get weight(): number {
    return WEIGHTS[this.job.priority] / (1 + this.given);
  }
}

export class Scheduler {
  #workers: number;
  #logger: Logger;
  #time: Time;
  #jobs = new Map<string, JobState>();
  #abort = new AbortController();
  #pace: Pace;
  #busy = 0;
  #cancelTimer: (() => void) | null = null;
  #active = new Set<Promise<void>>();

  constructor(options: SchedulerOptions) {
    this.#workers = Math.max(1, options.workers);
    this.#logger = options.logger.child({ component: 'scheduler' });
    this.#time = options.time ?? systemTime;
    this.#pace = new Pace(this.#time);
  }

  /** Adds a job; its first round is due at once. */
  add(job: Job): void {
    if (this.#jobs.has(job.name)) throw new Error(`there is a job ${job.name} already`);
    const context = { signal: this.#abort.signal, pace: this.#pace };
    this.#jobs.set(job.name, new JobState(job, this.#time.elapsedMs(), context));
    this.#turn();
  }

  /** Takes a job out, and adds one in its place; for changed settings. A round under way ends first. */
  async replace(job: Job): Promise<void> {
    await this.remove(job.name);
    this.add(job);
  }

  /** Takes a job out: its running tasks end, those that it has not given yet never begin. */
  async remove(name: string): Promise<void> {
    const state = this.#jobs.get(name);
    if (state === undefined) return;
    state.removed ??= Promise.withResolvers<void>();
    state.exhausted = true;
    if (state.job.interruptible === true) state.abort.abort();
    this.#endIfOver(state);
    if (state.iterator === null) this.#drop(state);
    await state.removed.promise;
  }

  #drop(state: JobState): void {
    if (this.#jobs.get(state.job.name) === state) this.#jobs.delete(state.job.name);
    state.removed?.resolve();
  }

  /** Begins a round now, or joins the one that runs; settles with its result. */
  run(name: string): Promise<RoundResult> {
    const state = this.#jobs.get(name);
    if (state === undefined || state.removed !== null)
      return Promise.reject(new Error(`there is no job ${name}`));
    if (this.#abort.signal.aborted) return Promise.reject(new Error(STOPPED));
    const waiter = Promise.withResolvers<RoundResult>();
    state.waiters.push(waiter);
    if (state.iterator === null) this.#begin(state);
    this.#turn();
    return waiter.promise;
  }

  status(): JobStatus[] {
    const offsetMs = this.#time.nowMs() - this.#time.elapsedMs();
    return [...this.#jobs.values()].map((state) => ({
      name: state.job.name,
      priority: state.job.priority,
      state: state.iterator !== null ? 'running' : state.dueMs === null ? 'done' : 'waiting',
      nextRoundMs:
        state.iterator !== null || state.dueMs === null ? null : Math.round(state.dueMs + offsetMs),
      running: [...state.running],
      finished: state.finished,
      last: state.last,
    }));
  }

  /** Stops at once: no new tasks, running ones are told and awaited. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancelTimer?.();
    while (this.#active.size > 0) await Promise.all(this.#active);
    for (const state of this.#jobs.values()) {
      this.#leave(state);
      for (const waiter of state.waiters.splice(0)) waiter.reject(new Error(STOPPED));
      state.removed?.resolve();
    }
  }

  /** Begins rounds that are due and fills free workers; called whenever something may have changed. */
  #turn(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#abort.signal.aborted) return;
    const elapsedMs = this.#time.elapsedMs();
    let nextMs = Infinity;
    for (const state of this.#jobs.values()) {
      if (state.iterator !== null || state.dueMs === null || state.removed !== null) continue;
      if (state.dueMs <= elapsedMs) this.#beginIfAllowed(state, elapsedMs);
      if (state.iterator === null) nextMs = Math.min(nextMs, state.dueMs);
    }
    this.#fill();
    if (nextMs < Infinity) this.#cancelTimer = this.#time.after(nextMs - elapsedMs, () => this.#turn());
  }

  #beginIfAllowed(state: JobState, elapsedMs: number): void {
    if (state.job.mayStart?.(this.#time.nowMs()) === false) state.dueMs = elapsedMs + ASK_AGAIN_MS;
    else this.#begin(state);
  }

  #begin(state: JobState): void {
    state.iterator = state.job.tasks(state.context)[Symbol.asyncIterator]();
    state.startedMs = this.#time.nowMs();
    state.startedElapsedMs = this.#time.elapsedMs();
    state.given = 0;
    state.finished = 0;
    state.failed = 0;
    state.exhausted = false;
  }

  #fill(): void {
    while (this.#busy < this.#workers) {
      let chosen: JobState | null = null;
      for (const state of this.#jobs.values()) {
        if (state.iterator === null || state.asking || state.exhausted) continue;
        if (state.job.oneAtATime === true && state.given > state.finished) continue;
        if (chosen === null || state.weight > chosen.weight) chosen = state;
      }
      if (chosen === null) return;
      this.#busy += 1;
      const work = this.#work(chosen).finally(() => {
        this.#busy -= 1;
        this.#active.delete(work);
        this.#turn();
      });
      this.#active.add(work);
    }
  }

  /** Asks a job for its next task and runs it. */
  async #work(state: JobState): Promise<void> {
    const task = await this.#ask(state);
    // It may be asked for another one now, while this one runs.
    this.#turn();
    if (task !== null && !this.#abort.signal.aborted) await this.#run(state, task);
    this.#endIfOver(state);
  }

  #endIfOver(state: JobState): void {
    if (state.exhausted && state.running.size === 0 && !state.asking) this.#end(state);
  }

  /** Lets the generator of a round that is broken off free what it holds. */
  #leave(state: JobState): void {
    const left = state.iterator?.return?.();
    void left?.catch((error: unknown) =>
      this.#logger.error({ error, job: state.job.name }, 'failed to end a round'),
    );
  }

  async #ask(state: JobState): Promise<Task | null> {
    state.asking = true;
    try {
      const next = await state.iterator?.next();
      if (next !== undefined && next.done !== true) {
        state.given += 1;
        return next.value;
      }
    } catch (error) {
      state.failed += 1;
      this.#logger.error({ error, job: state.job.name }, 'failed to find the next task');
    } finally {
      state.asking = false;
    }
    state.exhausted = true;
    return null;
  }

  async #run(state: JobState, task: Task): Promise<void> {
    state.running.add(task.name);
    this.#logger.debug({ task: task.name }, 'starting task');
    try {
      await task.run(state.context);
    } catch (error) {
      if (!state.context.signal.aborted) {
        state.failed += 1;
        this.#logger.error({ error, task: task.name }, 'failed to execute task');
      }
    } finally {
      state.running.delete(task.name);
      state.finished += 1;
      this.#logger.debug({ task: task.name }, 'finished task');
    }
  }

  #end(state: JobState): void {
    if (state.iterator === null) return;
    this.#leave(state);
    const { job, startedMs, finished, failed } = state;
    const elapsedMs = this.#time.elapsedMs();
    state.iterator = null;
    const summary = job.summary?.() ?? '';
    state.last = {
      startedMs,
      elapsedMs: Math.round(elapsedMs - state.startedElapsedMs),
      tasks: finished,
      failed,
      summary,
    };
    const waitMs = Math.min(job.intervalMs > 0 ? job.intervalMs : Infinity, job.againMs?.() ?? Infinity);
    state.dueMs = waitMs < Infinity ? elapsedMs + waitMs : null;
    this.#logger.info({ job: job.name, ...state.last }, 'finished job');
    for (const waiter of state.waiters.splice(0)) waiter.resolve(state.last);
    if (state.removed !== null) this.#drop(state);
  }
}
