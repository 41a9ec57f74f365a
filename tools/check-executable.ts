/**
 * Starts a built executable as a person would who has no Node: `node tools/check-executable.ts dist/zot [words...]`.
 * The words are the whole command, so that an emulator can stand before the file. Prints a closing line of counts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import { absoluteFile, startServer, type RunningServer } from '../test/support/server.ts';

const run = promisify(execFile);

/** An emulator takes many times longer than a processor. */
const timeoutMs = 120_000;

/** Only Debian's folders: the Node of the project is not to be found, as on a machine without it. */
const env = { PATH: '/usr/bin:/bin', NODE_PATH: '' };

const command = process.argv.slice(2).map(absoluteFile);

const checks: Readonly<Record<string, () => Promise<void>>> = {
  'says its version': async () => {
    const [program = '', ...args] = command;
    const { stdout } = await run(program, [...args, '--version'], { env, timeout: timeoutMs });
    if (!/\d+\.\d+\.\d+/.test(stdout)) throw new Error(`unexpected answer: ${stdout}`);
  },
  'starts, serves a push and a pull, and stops cleanly': async () => {
    const startMs = performance.now();
    const server = await startServer({ command, env, readyTimeoutMs: timeoutMs });
    console.log(`  listening after ${(performance.now() - startMs).toFixed(0)} ms`);
    let exitCode = 0;
    try {
      await pushAndPull(server);
    } finally {
      exitCode = await server.stop();
    }
    if (exitCode !== 0) throw new Error(`exit code ${exitCode} after SIGTERM\n${server.stdout()}`);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error instanceof Error ? error.message : String(error)}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;

async function pushAndPull(server: RunningServer): Promise<void> {
  const bytes = randomBytes(100_000);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const pushed = await fetch(`${server.url}/v2/check/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (pushed.status !== 201) throw new Error(`push answered ${pushed.status}: ${await pushed.text()}`);
  const signal = AbortSignal.timeout(timeoutMs);
  const pulled = await fetch(`${server.url}/v2/check/blobs/${digest}`, { signal });
  if (!Buffer.from(await pulled.arrayBuffer()).equals(bytes)) throw new Error('pull gave other bytes');
}
