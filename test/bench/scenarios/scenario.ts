import type { Bench } from '../context.ts';
import type { Row } from '../results.ts';
import type { StoreName } from '../fixtures/stores.ts';
import type { Connection, Origin } from '../load/connection.ts';
import type { Plan } from '../load/plan.ts';
import type { Subject } from '../subjects/subject.ts';

/** A running registry that a scenario speaks to. The connection is for what is not timed. */
export interface Target {
  subject: Subject;
  origin: Origin;
  connection: Connection;
}

export interface TurnContext {
  durationMs: number;
  /** Fewer and smaller operations, to see whether it works rather than how fast. */
  quick: boolean;
  /** Unique in this run and valid in a tag: names the content and the tags of this turn. */
  salt: string;
}

export interface ScenarioCase {
  name: string;
  /** The work of one turn; null where this registry cannot do it. */
  plan(target: Target, turn: TurnContext): Plan | null;
  /** Looks after a turn, not timed, whether what was written can be read back; throws when not. */
  verify?(target: Target, turn: TurnContext): Promise<void>;
}

interface Described {
  /** Used with `--scenario`. */
  name: string;
  /** One line for `--list` and above the table. */
  title: string;
}

/** Turns of load against running servers. All cases and all subjects take turns within each round. */
export interface LoadScenario extends Described {
  kind: 'load';
  store: StoreName;
  /** Writing scenarios run ours twice, with `commit` off and on, and leave the store unfit for others. */
  writes: boolean;
  /** Only for subjects with the referrers API. */
  referrers?: boolean;
  /** Ours beside itself with ways to sign in and policies; others do not take part. */
  access?: boolean;
  /** One turn without warm-up: for what takes long. */
  once?: boolean;
  /** Pushes what the cases read, and checks that it is there. */
  seed?(target: Target): Promise<void>;
  cases: ScenarioCase[];
}

/** Start of a server on a store until it answers. */
export interface StartScenario extends Described {
  kind: 'start';
  store: StoreName;
  /** The first answer that counts. */
  path: string;
}

/** Measures in a way of its own; for ours alone. */
export interface OwnScenario extends Described {
  kind: 'own';
  run(bench: Bench): Promise<Row[]>;
}

export type Scenario = LoadScenario | StartScenario | OwnScenario;
