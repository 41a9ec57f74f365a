import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromGenerator, Outcome, Plan, ToGenerator } from './plan.ts';

const GENERATOR = fileURLToPath(new URL('generator.ts', import.meta.url));
/** Preparing hashes up to 10 GB of content; running is bounded by the plan and by the stall limit of connections. */
const STEP_MS_MAX = 600_000;

/** A generator process, kept for many turns. Close it at the end. */
export class LoadGenerator {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(GENERATOR, {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  /** Makes the generator ready for a plan: connections are open and content is hashed when this returns. */
  async prepare(plan: Plan): Promise<void> {
    const answer = await this.#step({ type: 'prepare', plan });
    if (answer.type !== 'ready') throw new Error(`the load generator could not prepare: ${describe(answer)}`);
  }

  /** Runs the prepared plan. */
  async go(): Promise<Outcome> {
    const answer = await this.#step({ type: 'go' });
    if (answer.type !== 'done') throw new Error(`the load generator failed: ${describe(answer)}`);
    return answer.outcome;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #step(message: ToGenerator): Promise<FromGenerator> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#child.off('message', answered).off('exit', died);
      };
      const answered = (answer: unknown): void => {
        settle();
        resolve(answer as FromGenerator);
      };
      const died = (): void => {
        settle();
        reject(new Error('the load generator ended'));
      };
      const timer = setTimeout(() => this.#child.kill(), STEP_MS_MAX);
      this.#child.once('message', answered).once('exit', died);
      this.#child.send(message);
    });
  }
}

function describe(message: FromGenerator): string {
  return message.type === 'broken' ? message.message : message.type;
}
