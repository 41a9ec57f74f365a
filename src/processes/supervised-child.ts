/**
 * One child of the supervisor: started, started again when it ends without being told to, at growing intervals while
 * it keeps failing, and told of every generation of the configuration.
 *
 * Owns: the process and the order that the next start gets. Invariant: once a generation is committed, every start
 * has it, and a child that began with an older one is told of the newer before anybody counts on it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import type { Prepared } from '#lib/prepared';
import { selfCommand } from '#lib/self-command';
import { StartError } from '#lib/start-error';
import type { FromChild, ToChild } from './messages.ts';

const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** A child that lived this long is not failing in a loop. */
const SETTLED_MS = 10_000;
/** What a child may take to open what a changed configuration asks for, and to take it over. */
const PREPARE_MS = 20_000;
const COMMIT_MS = 5000;

export type StartOrder = Extract<ToChild, { kind: 'start' }>;
type Answer = Extract<FromChild, { generation: number }> | 'gone' | 'late';

export class SupervisedChild {
  #command: string;
  #order: StartOrder;
  #logger: Logger;
  #process: ChildProcess | null = null;
  #isReady = false;
  #stopping = false;
  #delayMs = RESTART_MIN_MS;
  #restart: NodeJS.Timeout | undefined;
  #onAnswer: (answer: Answer) => void = () => undefined;

  constructor(command: string, order: StartOrder, logger: Logger) {
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
    const startedWith = this.#order.generation;
    const ready = Promise.withResolvers<void>();
    child.on('message', (message: FromChild) => {
      if (message.kind === 'ready') {
        this.#becomeReady(startedWith);
        ready.resolve();
      } else if (message.kind === 'failed') ready.reject(new StartError(message.message));
      else this.#onAnswer(message);
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
    ready.promise.catch((error: Error) =>
      // Only `StartError` gets here: its words are for the operator, and its stack would lead to this file.
      this.#logger.error({ child: this.#command, problem: error.message }, 'a process is not ready'),
    );
    return ready.promise;
  }

  #becomeReady(startedWith: number): void {
    this.#isReady = true;
    const { generation, config } = this.#order;
    if (startedWith < generation) this.send({ kind: 'commit', generation, config });
  }

  #ended(how: string, livedMs: number): void {
    this.#process = null;
    this.#isReady = false;
    this.#onAnswer('gone');
    if (this.#stopping) return;
    this.#delayMs = livedMs > SETTLED_MS ? RESTART_MIN_MS : Math.min(RESTART_MAX_MS, this.#delayMs * 2);
    this.#logger.error(
      { child: this.#command, number: this.#order.number, how },
      'a process ended and is started again',
    );
    // It has logged its failure, and its end starts the next attempt.
    // A start that fails is told by `start` itself, and followed by the next.
    this.#restart = setTimeout(() => void this.start().catch(() => undefined), this.#delayMs);
  }

  send(message: ToChild): void {
    if (this.#process?.connected) this.#process.send(message);
  }

  /** Throws `StartError` when the child cannot have this configuration. One that is starting gets it afterwards. */
  async prepare(generation: number, config: Config): Promise<Prepared> {
    if (this.#isReady) {
      const answer = await this.#ask({ kind: 'prepare', generation, config }, PREPARE_MS);
      if (answer === 'late') throw new StartError('a process did not take over the configuration in time');
      if (answer !== 'gone' && answer.kind === 'refused') throw new StartError(answer.message);
    }
    return {
      commit: () => this.#commit(generation, config),
      discard: async () => this.send({ kind: 'discard', generation }),
    };
  }

  async #commit(generation: number, config: Config): Promise<void> {
    this.#order = { ...this.#order, generation, config };
    if (!this.#isReady) return;
    const answer = await this.#ask({ kind: 'commit', generation, config }, COMMIT_MS);
    if (answer !== 'late') return;
    // Nobody may be judged by what is no longer in force: the next start has the new generation.
    this.#logger.error(
      { child: this.#command, generation },
      'a process does not answer and is started again',
    );
    this.#process?.kill('SIGKILL');
  }

  #ask(
    message: Extract<ToChild, { generation: number; kind: 'prepare' | 'commit' }>,
    limitMs: number,
  ): Promise<Answer> {
    const answered = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => answered.resolve('late'), limitMs);
    this.#onAnswer = (answer) => {
      if (typeof answer === 'string' || answer.generation === message.generation) answered.resolve(answer);
    };
    this.send(message);
    return answered.promise.finally(() => clearTimeout(timer));
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
