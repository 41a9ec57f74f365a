/**
 * The load generator: a process of its own, so that the CPU of a server can be told from that of its clients. It
 * prepares a plan (connections, content, digests), says so, and runs it when told to. Closed loop: each client sends
 * its next request when the last was answered, so latencies are those of a server asked as fast as it answers.
 */
import { blobOf } from './content.ts';
import { Connection } from './connection.ts';
import { authorizationLine } from './headers.ts';
import { imageOf, type Image } from './image.ts';
import { ask, pullImage, pushBlob, pushImage, pushManifest } from './operations.ts';
import type { FromGenerator, Outcome, Plan, ToGenerator } from './plan.ts';
import { startWrongSignIns } from './wrong-sign-ins.ts';

/** One operation on the connection of a client; `index` counts the operations of the turn. Returns bytes moved. */
type Operation = (connection: Connection, index: number) => Promise<number>;

interface Prepared {
  plan: Plan;
  operation: Operation;
  connections: Connection[];
}

const FAILURES_MAX = 20;
let prepared: Prepared | null = null;

process.on('message', (message: ToGenerator) => {
  const step = message.type === 'prepare' ? prepare(message.plan) : go();
  step.then(tell, (error: unknown) => tell({ type: 'broken', message: String(error) }));
});
process.on('disconnect', () => process.exit(0));

async function prepare(plan: Plan): Promise<FromGenerator> {
  const operation = operationOf(plan);
  const connections = Array.from({ length: plan.clients }, () => new Connection(plan.origin));
  await Promise.all(connections.map((connection) => connection.open()));
  prepared = { plan, operation, connections };
  return { type: 'ready' };
}

async function go(): Promise<FromGenerator> {
  if (prepared === null) throw new Error('nothing was prepared');
  const { connections, plan } = prepared;
  const guesses = plan.kind === 'requests' ? plan.guesses : undefined;
  const stop = guesses === undefined ? null : startWrongSignIns(plan.origin, guesses);
  const outcome = await run(prepared);
  stop?.();
  prepared = null;
  for (const connection of connections) connection.close();
  return { type: 'done', outcome };
}

async function run({ plan, operation, connections }: Prepared): Promise<Outcome> {
  const cpuBefore = process.cpuUsage();
  const latenciesMs: number[] = [];
  const outcome = { bytes: 0, failures: 0, firstFailure: null as string | null };
  const startMs = performance.now();
  const endMs = startMs + plan.limit.durationMs;
  let next = 0;
  const client = async (connection: Connection): Promise<void> => {
    while (next < plan.limit.opsMax && outcome.failures < FAILURES_MAX) {
      const sentMs = performance.now();
      if (sentMs >= endMs) return;
      try {
        const bytes = await operation(connection, next++);
        outcome.bytes += bytes;
        latenciesMs.push(performance.now() - sentMs);
      } catch (error) {
        outcome.failures += 1;
        outcome.firstFailure ??= error instanceof Error ? error.message : String(error);
      }
    }
  };
  await Promise.all(connections.map(client));
  const elapsedMs = performance.now() - startMs;
  const cpu = process.cpuUsage(cpuBefore);
  const clientCpuSeconds = (cpu.user + cpu.system) / 1e6;
  return {
    ...outcome,
    ops: latenciesMs.length,
    elapsedMs,
    latenciesMs: Float64Array.from(latenciesMs),
    clientCpuSeconds,
  };
}

/** Everything that costs time and is not the server's is done here, before the clock runs. */
function operationOf(plan: Plan): Operation {
  switch (plan.kind) {
    case 'requests':
      return requests(plan);
    case 'blob-pushes': {
      const blobs = listOf(plan.limit.opsMax, (index) => blobOf(plan.sizeBytes, `${plan.salt}-${index}`));
      return (connection, index) => pushBlob(connection, plan.repository, at(blobs, index), plan.style);
    }
    case 'image-pushes': {
      const images = listOf(plan.limit.opsMax, (index) => imageOf(`${plan.salt}-${index}`, plan.shape));
      return (connection, index) => {
        const repository = at(plan.repositories, index);
        return pushImage(
          connection,
          { repository, tag: `${plan.salt}-${index}`, style: plan.style },
          at(images, index),
        );
      };
    }
    case 'manifest-pushes': {
      const manifestOf = (index: number): Image['manifest'] =>
        imageOf(plan.imageName, plan.shape, `${plan.salt}-${index}`).manifest;
      const manifests = listOf(plan.limit.opsMax, manifestOf);
      return (connection, index) =>
        pushManifest(connection, at(plan.repositories, index), `${plan.salt}-${index}`, at(manifests, index));
    }
    case 'image-pulls': {
      const images = plan.images.map((image) => ({ ...image, content: imageOf(image.name, image.shape) }));
      return (connection, index) => {
        const { repository, tag, content } = at(images, index);
        return pullImage(connection, { repository, tag }, content);
      };
    }
  }
}

function requests(plan: Extract<Plan, { kind: 'requests' }>): Operation {
  const accept = plan.accept === null ? '' : `Accept: ${plan.accept}\r\n`;
  const headers = accept + authorizationLine(plan.authorization);
  const prepare = plan.paths.map((path) => ({ method: plan.method, path, headers }));
  return async (connection, index) =>
    (await ask(connection, at(prepare, index), plan.expectStatus)).bodyBytes;
}

function listOf<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index % list.length];
  if (item === undefined) throw new Error('an empty list in a plan');
  return item;
}

function tell(message: FromGenerator): void {
  process.send?.(message);
}
