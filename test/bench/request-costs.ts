/**
 * Where every microsecond of a manifest GET goes: `node test/bench/request-costs.ts [seconds]`.
 *
 * Starts the registry from source with one worker under V8's profiler, asks for one manifest by tag with 8 clients,
 * and prints a table: the CPU of the whole process as the kernel counts it, divided by the requests, and shared out by
 * layer as the profile of the main thread has it.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FIXTURE_SHAPE } from './fixtures/stores.ts';
import { readTimedProfile, timeByLayer } from './layers.ts';
import type { Window } from './layers.ts';
import { Connection } from './load/connection.ts';
import { MANIFEST_TYPE, imageOf } from './load/image.ts';
import { pushImage } from './load/operations.ts';
import type { Plan } from './load/plan.ts';
import { LoadGenerator } from './load/remote.ts';
import { sampleTree } from './procfs.ts';
import type { RunningServer } from './subjects/subject.ts';
import { zotSubject } from './subjects/zot.ts';

const REPOSITORY = 'bench/small';
const WARM_UP_MS = 3000;

interface Measured {
  window: Window;
  requests: number;
  cpuUs: number;
}

const seconds = Number(process.argv[2] ?? 10);
const folder = mkdtempSync(join(tmpdir(), 'zot-costs-'));
const generator = new LoadGenerator();
try {
  const server = await zotSubject({
    label: 'zot',
    commit: false,
    log: 'file',
    executable: null,
    workers: 1,
    profileFolder: folder,
  }).start(join(folder, 'store'));
  let measured: Measured;
  try {
    measured = await measure(server);
  } finally {
    await server.stop();
  }
  print(measured);
} finally {
  generator.close();
  rmSync(folder, { recursive: true, force: true });
}

async function measure({ origin, pid }: RunningServer): Promise<Measured> {
  const connection = new Connection(origin);
  const target = { repository: REPOSITORY, tag: 'latest', style: 'patch' } as const;
  await pushImage(connection, target, imageOf(REPOSITORY, FIXTURE_SHAPE));
  connection.close();
  const plan = (durationMs: number): Plan => ({
    kind: 'requests',
    origin,
    clients: 8,
    limit: { durationMs, opsMax: Number.POSITIVE_INFINITY },
    method: 'GET',
    paths: [`/v2/${REPOSITORY}/manifests/latest`],
    accept: MANIFEST_TYPE,
    expectStatus: 200,
  });
  await generator.prepare(plan(WARM_UP_MS));
  await generator.go();
  await generator.prepare(plan(seconds * 1000));
  const before = sampleTree(pid ?? 0);
  const fromUs = nowUs();
  const outcome = await generator.go();
  const toUs = nowUs();
  const cpuUs = (sampleTree(pid ?? 0).cpuSeconds - before.cpuSeconds) * 1e6;
  if (outcome.failures > 0) throw new Error(`a request failed: ${outcome.firstFailure}`);
  return { window: { fromUs, toUs }, requests: outcome.ops, cpuUs };
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Profiled time has pauses in it in which others used the core: the shares count, and the kernel's sum is divided. */
function print({ window, requests, cpuUs }: Measured): void {
  const byLayer = new Map<string, number>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))) {
    for (const [layer, us] of timeByLayer(readTimedProfile(join(folder, name)), window))
      byLayer.set(layer, (byLayer.get(layer) ?? 0) + us);
  }
  const sum = [...byLayer.values()].reduce((total, us) => total + us, 0);
  const perRequest = cpuUs / requests;
  console.log(`| Part | µs | share |\n|---|--:|--:|`);
  for (const [layer, us] of [...byLayer].sort(([, a], [, b]) => b - a)) {
    const share = us / sum;
    console.log(`| ${layer} | ${(share * perRequest).toFixed(1)} | ${(share * 100).toFixed(1)} % |`);
  }
  console.log(`| **sum** | **${perRequest.toFixed(1)}** | ${requests} requests |`);
}
