import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Connection, type Origin } from '../load/connection.ts';
import { MANIFEST_TYPE } from '../load/image.ts';

/** A million blobs that are seen for the first time take minutes. */
const START_MS_MAX = 900_000;
const STOP_MS_MAX = 20_000;
const POLL_MS = 2;

/** Where the servers' log lines go: the same for all of them, since writing them costs each. */
export type LogTarget = 'file' | 'null';

export interface Launch {
  command: string[];
  logPath: string;
  log: LogTarget;
  environment?: Record<string, string>;
}

const running = new Set<ChildProcess>();

// A run that is cut short must not leave its servers behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** Starts a server with its output in a file (or nowhere), so that logging costs no pipe and no reader. */
export function launch({ command, logPath, log, environment = {} }: Launch): ChildProcess {
  const [program, ...args] = command;
  if (program === undefined) throw new Error('an empty command');
  const output = openSync(log === 'null' ? '/dev/null' : logPath, 'a');
  const child = spawn(program, args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...environment },
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  // A failed spawn is told by `answering`, which finds that the process is gone.
  child.on('error', () => undefined);
  closeSync(output);
  return child;
}

/** SIGTERM, and SIGKILL for the one that does not obey within 20 s. */
export async function terminate(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await exited;
  clearTimeout(timer);
}

/** Asks for `path` again and again until the answer is 200; gives the milliseconds since the call. */
export async function answering(origin: Origin, path: string, child: ChildProcess | null): Promise<number> {
  const startMs = performance.now();
  while (performance.now() - startMs < START_MS_MAX) {
    if (child !== null && (child.exitCode !== null || child.pid === undefined)) {
      throw new Error(`the server ended with exit code ${child.exitCode} before it answered`);
    }
    if (await answersOk(origin, path)) return performance.now() - startMs;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`no answer to ${path} within ${START_MS_MAX / 1000} s`);
}

async function answersOk(origin: Origin, path: string): Promise<boolean> {
  const connection = new Connection(origin);
  try {
    return (
      (await connection.send({ method: 'GET', path, headers: `Accept: ${MANIFEST_TYPE}\r\n` })).status === 200
    );
  } catch (error) {
    // Refused or reset: it is not up yet.
    if (error instanceof Error) return false;
    throw error;
  } finally {
    connection.close();
  }
}

/** A port that is free now on 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The last lines of a log, for error messages. */
export function tailOf(logPath: string, lines = 5): string {
  return readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
