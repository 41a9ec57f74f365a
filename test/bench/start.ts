/** Start-up: from the spawn of a server to the first good answer of what its users want, on stores of several sizes. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { participants, storeFolder } from './bench.ts';
import type { Bench } from './context.ts';
import { sampleTree } from './procfs.ts';
import { rowOf, withRatios, type Row, type TurnResult } from './results.ts';
import type { StartScenario } from './scenarios/scenario.ts';
import { answering } from './subjects/server-process.ts';
import { REFERENCE, type Subject } from './subjects/subject.ts';

/** Starts each subject again and again, ours cold and warm, in turns. The first round is not counted. */
export async function runStart(scenario: StartScenario, bench: Bench): Promise<Row[]> {
  const subjects = participants({ store: scenario.store, writes: false }, bench).filter(
    ({ kind }) => kind !== 'url',
  );
  const lanes = subjects.flatMap((subject) => {
    const names = subject.kind === 'zot' ? ['cold', 'warm'] : ['warm'];
    return names.map((name) => ({ subject, name, turns: [] as TurnResult[] }));
  });
  for (let round = 0; round <= bench.rounds; round += 1) {
    for (const { subject, name, turns } of lanes) {
      const root = storeFolder(subject, scenario.store, bench);
      if (name === 'cold') dropIndex(root);
      const turn = await startOnce(subject, root, scenario.path);
      if (round > 0) turns.push(turn);
    }
  }
  const rows = lanes.map(({ subject, name, turns }) => rowOf(scenario.name, name, subject.label, turns));
  return withRatios(rows, REFERENCE);
}

async function startOnce(subject: Subject, root: string, path: string): Promise<TurnResult> {
  const startMs = performance.now();
  const server = await subject.start(root);
  try {
    await answering(server.origin, path, null);
    const elapsedMs = performance.now() - startMs;
    const sample = server.pid === null ? null : sampleTree(server.pid);
    const outcome = {
      ops: 1,
      bytes: 0,
      elapsedMs,
      latenciesMs: Float64Array.of(elapsedMs),
      failures: 0,
      firstFailure: null,
    };
    return {
      outcome: { ...outcome, clientCpuSeconds: null },
      server: sample === null ? null : { ...sample, growthBytes: sample.peakRssBytes },
    };
  } finally {
    await server.stop();
  }
}

/** Removes the disposable index, so that every repository must be read again. Repositories have no such names. */
function dropIndex(root: string): void {
  for (const entry of readdirSync(root)) {
    const path = join(root, entry);
    if (entry.startsWith('index.db')) rmSync(path);
    else if (/^[._]/.test(entry) && statSync(path).isDirectory()) dropIndex(path);
  }
}
