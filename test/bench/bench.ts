/**
 * Runs one scenario: all of its cases against all subjects in turns, A B A B, so that what else happens on the machine
 * meets each of them alike. The first round warms up and is not counted.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench } from './context.ts';
import type { StoreName } from './fixtures/stores.ts';
import { Connection } from './load/connection.ts';
import type { Plan } from './load/plan.ts';
import { authorizationLine } from './load/headers.ts';
import { runWrk, suitsWrk } from './load/wrk.ts';
import { resetPeaks, sampleTree } from './procfs.ts';
import { rowOf, withRatios, type Row, type TurnResult } from './results.ts';
import type { LoadScenario, ScenarioCase, Target, TurnContext } from './scenarios/scenario.ts';
import { REFERENCE, type RunningServer, type Subject } from './subjects/subject.ts';

interface Side extends Target {
  server: RunningServer;
}

/** A case against a subject, with the turns so far. */
interface Lane {
  scenarioCase: ScenarioCase;
  side: Side;
  turns: TurnResult[];
}

let salts = 0;
const runId = Date.now().toString(36);

/** Runs the scenario and returns a row for each case and subject that can do it. */
export async function runLoad(scenario: LoadScenario, bench: Bench): Promise<Row[]> {
  const sides = await startSides(scenario, bench);
  try {
    for (const side of sides) await scenario.seed?.(side);
    const lanes = scenario.cases.flatMap((scenarioCase) =>
      sides.map((side): Lane => ({ scenarioCase, side, turns: [] })),
    );
    await runRounds(scenario, lanes, bench);
    const rows = lanes
      .filter((lane) => lane.turns.length > 0)
      .map(({ scenarioCase, side, turns }) =>
        rowOf(scenario.name, scenarioCase.name, side.subject.label, turns),
      );
    return withRatios(rows, REFERENCE);
  } finally {
    await stopSides(sides);
    if (scenario.writes || scenario.store === 'empty') {
      for (const side of sides) dropStore(side.subject, scenario.store, bench);
    }
  }
}

/** The folder of a subject's store, made on first use. */
export function storeFolder(subject: Subject, store: StoreName, bench: Bench): string {
  const root = join(bench.workFolder, subject.label.replaceAll(/[^a-z0-9]+/g, '-'), store);
  if (!existsSync(root)) {
    bench.say(`  making the store "${store}" for ${subject.label}`);
    mkdirSync(root, { recursive: true });
    subject.fill(store, root);
  }
  return root;
}

function dropStore(subject: Subject, store: StoreName, bench: Bench): void {
  rmSync(storeFolder(subject, store, bench), { recursive: true, force: true });
}

/** Which subjects take part; says why others do not. */
export function participants(
  scenario: Pick<LoadScenario, 'store' | 'writes' | 'referrers' | 'access'>,
  bench: Bench,
): Subject[] {
  if (scenario.access === true) {
    return bench.subjects.flatMap((subject) =>
      subject.withAccess === undefined || subject.durable === true ? [] : [subject, subject.withAccess()],
    );
  }
  return bench.subjects.filter((subject) => {
    if (subject.kind === 'zot' && subject.durable === true && !scenario.writes) return false;
    const lacking =
      scenario.referrers === true && subject.kind === 'distribution' ? 'it has no referrers API' : null;
    const reason = lacking ?? subject.refuses(scenario.store);
    if (reason !== null) bench.say(`  without ${subject.label}: ${reason}`);
    return reason === null;
  });
}

async function startSides(scenario: LoadScenario, bench: Bench): Promise<Side[]> {
  const sides: Side[] = [];
  try {
    for (const subject of participants(scenario, bench)) {
      const server = await subject.start(storeFolder(subject, scenario.store, bench));
      const connection = new Connection(server.origin, authorizationLine(subject.authorization));
      sides.push({ subject, server, origin: server.origin, connection });
    }
  } catch (error) {
    await stopSides(sides);
    throw error;
  }
  return sides;
}

async function stopSides(sides: Side[]): Promise<void> {
  for (const side of sides) {
    side.connection.close();
    await side.server.stop();
  }
}

async function runRounds(scenario: LoadScenario, lanes: Lane[], bench: Bench): Promise<void> {
  const rounds = scenario.once === true ? 1 : bench.rounds + 1;
  for (let round = 0; round < rounds; round += 1) {
    for (const lane of lanes) {
      salts += 1;
      const turn = { durationMs: bench.durationMs, quick: bench.quick, salt: `${runId}-${salts}` };
      const result = await runTurn(scenario, lane, turn, bench);
      const warmUp = round === 0 && scenario.once !== true;
      if (result !== null && !warmUp) lane.turns.push(result);
    }
  }
}

async function runTurn(
  scenario: LoadScenario,
  lane: Lane,
  turn: TurnContext,
  bench: Bench,
): Promise<TurnResult | null> {
  const { scenarioCase, side } = lane;
  const plan = scenarioCase.plan(side, turn);
  if (plan === null) return null;
  // What earlier turns left to be written back would otherwise slow this one down.
  if (scenario.writes) await promisify(execFile)('sync', ['-f', bench.workFolder]);
  const result = await measure(plan, side.server.pid, bench);
  if (result.outcome.failures === 0) await scenarioCase.verify?.(side, turn);
  return result;
}

async function measure(plan: Plan, pid: number | null, bench: Bench): Promise<TurnResult> {
  const wrk = bench.wrk && suitsWrk(plan);
  if (!wrk) await bench.generator.prepare(plan);
  if (pid !== null) resetPeaks(pid);
  const before = pid === null ? null : sampleTree(pid);
  const outcome = wrk ? await runWrk(plan, bench.workFolder) : await bench.generator.go();
  const after = pid === null ? null : sampleTree(pid);
  if (before === null || after === null) return { outcome, server: null };
  return {
    outcome,
    server: {
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      writtenBytes: Math.max(0, after.writtenBytes - before.writtenBytes),
      peakRssBytes: after.peakRssBytes,
      privateBytes: after.privateBytes,
      growthBytes: after.peakRssBytes - before.rssBytes,
    },
  };
}
