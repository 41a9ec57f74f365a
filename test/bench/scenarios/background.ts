/** What clients feel of background work, and what it costs by itself, on a store of very many tiny blobs. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { storeFolder } from '../bench.ts';
import type { Bench } from '../context.ts';
import { jobs, judgeTags, scrub, sweep } from '../control.ts';
import { duplicatesIn } from '../fixtures/crowd.ts';
import { numberedRepository } from '../fixtures/stores.ts';
import { Connection } from '../load/connection.ts';
import { blobOf } from '../load/content.ts';
import { MANIFEST_TYPE } from '../load/image.ts';
import { ask } from '../load/operations.ts';
import type { Outcome, RequestsPlan } from '../load/plan.ts';
import { resetPeaks, sampleTree } from '../procfs.ts';
import { rowOf, type Row, type TurnResult } from '../results.ts';
import type { RunningServer, Subject } from '../subjects/subject.ts';
import { answering } from '../subjects/server-process.ts';
import type { OwnScenario } from './scenario.ts';

/** Never due by itself while it is measured. */
const NEVER = '1000h';
const DEAD = 1000;
const CLIENTS = 4;
const WAIT_MS_MAX = 600_000;

/** Work that goes on in the background of a server until it is told to end. */
export interface BackgroundWork {
  readonly name: string;
  /** Begins it again and again on a folder that is served; the promise settles when it has ended after the signal. */
  run(root: string, signal: AbortSignal): Promise<void>;
}

/** Each is measured against the quiet server; whoever adds background work adds a line. */
export const WORKS: readonly BackgroundWork[] = [
  {
    name: 'collection of everything',
    async run(root, signal) {
      while (!signal.aborted) await sweep(root, { full: true });
    },
  },
  {
    name: 'scrub',
    async run(root, signal) {
      while (!signal.aborted) await scrub(root, signal);
    },
  },
  {
    name: 'retention',
    async run(root, signal) {
      while (!signal.aborted) await judgeTags(root, signal);
    },
  },
];

/** Ours without fsync, once. */
function ours(bench: Bench): Subject[] {
  return bench.subjects.filter(({ kind, durable }) => kind === 'zot' && durable === false);
}

function prepared(subject: Subject, storage: object): Subject {
  if (subject.withStorage === undefined) throw new Error(`${subject.label} takes no settings`);
  return subject.withStorage(storage);
}

async function serving<Result>(
  subject: Subject,
  root: string,
  work: (server: RunningServer) => Promise<Result>,
): Promise<Result> {
  const server = await subject.start(root);
  try {
    await answering(server.origin, `/v2/${numberedRepository(0)}/manifests/t0`, null);
    return await work(server);
  } finally {
    await server.stop();
  }
}

function turnOf(elapsedMs: number, ops: number, server: TurnResult['server']): TurnResult {
  const latenciesMs = Float64Array.of(elapsedMs);
  const outcome = { ops, bytes: 0, elapsedMs, latenciesMs, failures: 0, firstFailure: null };
  return { outcome: { ...outcome, clientCpuSeconds: null }, server };
}

/** What the server spent while something went on, and how long that took. */
async function spent(server: RunningServer, ops: number, work: () => Promise<void>): Promise<TurnResult> {
  if (server.pid !== null) resetPeaks(server.pid);
  const before = server.pid === null ? null : sampleTree(server.pid);
  const startMs = performance.now();
  await work();
  const elapsedMs = performance.now() - startMs;
  const after = server.pid === null ? null : sampleTree(server.pid);
  if (before === null || after === null) return turnOf(elapsedMs, ops, null);
  return turnOf(elapsedMs, ops, {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    writtenBytes: Math.max(0, after.writtenBytes - before.writtenBytes),
    peakRssBytes: after.peakRssBytes,
    privateBytes: after.privateBytes,
    growthBytes: after.peakRssBytes - before.rssBytes,
  });
}

function pulls(bench: Bench, server: RunningServer): RequestsPlan {
  const count = Math.min(1000, bench.crowd.repositories);
  const step = bench.crowd.repositories / count;
  const paths = Array.from(
    { length: count },
    (_, at) => `/v2/${numberedRepository(Math.floor(at * step))}/manifests/t0`,
  );
  return {
    kind: 'requests',
    origin: server.origin,
    clients: CLIENTS,
    limit: { durationMs: bench.durationMs, opsMax: Number.POSITIVE_INFINITY },
    method: 'GET',
    paths,
    accept: MANIFEST_TYPE,
    expectStatus: 200,
  };
}

async function pullTurn(bench: Bench, server: RunningServer): Promise<TurnResult> {
  await bench.generator.prepare(pulls(bench, server));
  let outcome: Outcome | null = null;
  const turn = await spent(server, 1, async () => {
    outcome = await bench.generator.go();
  });
  return outcome === null ? turn : { ...turn, outcome };
}

/** Quiet turns and turns beside work in turns, so that what else happens on the machine meets both. */
async function pullsBeside(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subject of ours(bench)) {
    const root = storeFolder(subject, 'crowd', bench);
    const idle = prepared(subject, { dedupe: false, gc: false });
    await serving(idle, root, async (server) => {
      for (const work of WORKS) {
        const turns = { quiet: [] as TurnResult[], beside: [] as TurnResult[] };
        for (let round = 0; round <= bench.rounds; round += 1) {
          const quiet = await pullTurn(bench, server);
          const stop = new AbortController();
          const running = work.run(root, stop.signal);
          const beside = await pullTurn(bench, server);
          stop.abort();
          await running;
          if (round === 0) continue;
          turns.quiet.push(quiet);
          turns.beside.push(beside);
        }
        rows.push(rowOf('pulls-beside', `${work.name}: quiet`, subject.label, turns.quiet));
        rows.push(rowOf('pulls-beside', `${work.name}: beside it`, subject.label, turns.beside));
      }
    });
  }
  return rows;
}

async function pushDead(connection: Connection, salt: string, crowd: Bench['crowd']): Promise<void> {
  for (let at = 0; at < DEAD; at += 1) {
    const blob = blobOf(64, `${salt} dead ${at}`);
    const repository = numberedRepository(at % crowd.repositories);
    const path = `/v2/${repository}/blobs/uploads/?digest=${blob.digest}`;
    const headers = 'Content-Type: application/octet-stream\r\n';
    await ask(connection, { method: 'POST', path, headers, body: blob.parts }, 201);
  }
}

/** Collects what was pushed for nothing, in the store of many and in one of few. */
async function collectDead(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subject of ours(bench)) {
    for (const store of ['crowd', 'repositories-1000'] as const) {
      const root = storeFolder(subject, store, bench);
      const settings = { dedupe: false, gcInterval: NEVER, gcDelay: '1s' };
      const turns: TurnResult[] = [];
      await serving(prepared(subject, settings), root, async (server) => {
        // What a first start notes to be looked at is out of the way.
        await sweep(root, { full: false });
        for (let round = 0; round <= bench.rounds; round += 1) {
          const connection = new Connection(server.origin);
          const crowd = store === 'crowd' ? bench.crowd : { repositories: 1000, blobsEach: 3 };
          await pushDead(connection, `${Date.now()}`, crowd);
          connection.close();
          await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
          const turn = await collectTurn(server, root);
          if (round > 0) turns.push(turn);
        }
      });
      rows.push(rowOf('collect-dead', `${DEAD} blobs in ${nameOf(store)}`, subject.label, turns));
    }
  }
  return rows;
}

const nameOf = (store: 'crowd' | 'repositories-1000'): string =>
  store === 'crowd' ? 'the store of many' : 'a store of few';

/** Grace of a marked blob, with room for the clock. */
const GRACE_MS = 1500;

async function collectTurn(server: RunningServer, root: string): Promise<TurnResult> {
  const turn = await spent(server, DEAD, async () => {
    const { buried } = await sweep(root, { full: false });
    if (buried !== DEAD) throw new Error(`${buried} of ${DEAD} blobs were marked`);
    await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
    // The store's own job may take some of them meanwhile.
    for (let blobs = DEAD; blobs > 0;) ({ blobs } = await sweep(root, { full: false }));
  });
  return turnOf(turn.outcome.elapsedMs - GRACE_MS, DEAD, turn.server);
}

/** A pass over equal blobs from the beginning to the end, on a store that it has never seen. */
async function dedupePass(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subject of ours(bench)) {
    const root = storeFolder(subject, 'crowd', bench);
    const settings = { dedupe: true, gc: false };
    const found = duplicatesIn(bench.crowd);
    const turns: TurnResult[] = [];
    for (const round of ['first', 'again'] as const) {
      const ops = round === 'first' ? found : bench.crowd.repositories * bench.crowd.blobsEach;
      await serving(prepared(subject, settings), root, async (server) => {
        const turn = await spent(server, ops, () => passed(root));
        const [job] = (await jobs(root)).filter(({ name }) => name === 'dedupe');
        bench.say(`  ${round}: ${job?.last?.summary ?? 'nothing is known of the pass'}`);
        // What it did before it was looked at belongs to it.
        const elapsedMs = job?.last?.elapsedMs ?? turn.outcome.elapsedMs;
        turns.push(turnOf(elapsedMs, ops, turn.server));
      });
    }
    const names = [`${found} copies linked`, 'nothing left to link'];
    for (const [at, turn] of turns.entries())
      rows.push(rowOf('dedupe-pass', names[at] ?? '', subject.label, [turn]));
    // It has no copies any more.
    rmSync(root, { recursive: true, force: true });
    rmSync(join(`${root}.log`), { force: true });
  }
  return rows;
}

async function passed(root: string): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const [job] = (await jobs(root)).filter(({ name }) => name === 'dedupe');
    if (job?.state === 'done') return;
    if (performance.now() > deadlineMs) throw new Error('the pass did not end');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const backgroundScenarios: OwnScenario[] = [
  {
    kind: 'own',
    name: 'pulls-beside',
    title: `GET of manifests, ${CLIENTS} clients, of a store of many tiny blobs: quiet, and beside background work`,
    run: pullsBeside,
  },
  {
    kind: 'own',
    name: 'collect-dead',
    title: `Collection of ${DEAD} blobs that nobody needs, the two sweeps together; an op is a blob`,
    run: collectDead,
  },
  {
    kind: 'own',
    name: 'dedupe-pass',
    title:
      'The pass over equal blobs after a start, on a store of many tiny blobs; an op is a copy, or a blob seen',
    run: dedupePass,
  },
];
