import assert from 'node:assert/strict';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { sendRequest } from './support/client.ts';
import { headOf, RawConnection } from './support/raw.ts';
import { endOf, listening, ZotProcesses } from './support/zot-process.ts';

let processes: ZotProcesses;
before(async () => {
  processes = await ZotProcesses.create();
});
after(() => processes.remove());

let count = 0;
function configOf(
  http: object = {},
  more: object = {},
): { storage: { rootDirectory: string }; http: object } {
  const rootDirectory = path.join(processes.folder, `data-${(count += 1)}`);
  return {
    storage: { rootDirectory },
    http: { address: '127.0.0.1', port: '0', workers: 1, ...http },
    ...more,
  };
}

const portOf = (url: string): number => Number(new URL(url).port);
const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

test('the start says in one friendly line where it listens, where it stores and what to try', async () => {
  const config = configOf();
  const running = await processes.serve(config);
  const url = await listening(running);
  assert.equal((await sendRequest(portOf(url), { method: 'GET', target: '/v2/' })).status, 200);
  const [line, ...others] = running.stderr().trim().split('\n');
  assert.deepEqual(others, []);
  assert.match(
    line ?? '',
    new RegExp(`^zot is ready at ${url}, storing in ${config.storage.rootDirectory}\\. Try: `),
  );
  assert.equal(await running.stop(10_000), 0);
});

test('without a configuration it serves port 5000 and stores in ./zot-data', async (context) => {
  const cwd = path.join(processes.folder, 'default');
  await mkdir(cwd);
  const running = await processes.serve(null, cwd);
  const url = await listening(running).catch(() => null);
  if (url === null) {
    assert.match(running.stderr(), /127\.0\.0\.1:5000 is in use/);
    return context.skip('port 5000 is in use on this machine');
  }
  assert.equal(url, 'http://127.0.0.1:5000');
  assert.equal((await sendRequest(5000, { method: 'GET', target: '/readyz' })).status, 200);
  assert.ok((await stat(path.join(cwd, 'zot-data/_zot/index.db'))).isFile());
  assert.equal(await running.stop(10_000), 0);
});

test('a port in use, or a folder in use, is one line and exit code 1, with one process and with several', async () => {
  const config = configOf();
  const first = await processes.serve(config);
  const port = portOf(await listening(first));
  for (const workers of [1, 2]) {
    const samePort = await processes.serve(configOf({ port: String(port), workers }));
    assert.equal(await endOf(samePort), 1);
    assert.match(samePort.stderr(), new RegExp(`^Error: 127\\.0\\.0\\.1:${port} is in use[^\\n]*\\n$`));
    const sameFolder = await processes.serve({ ...config, http: { ...config.http, workers } });
    assert.equal(await endOf(sameFolder), 1);
    assert.match(sameFolder.stderr(), /^Error: the folder [^\n]* is in use[^\n]*\n$/);
  }
  assert.equal((await sendRequest(port, { method: 'GET', target: '/v2/' })).status, 200);
  await first.stop(10_000);
});

test('SIGTERM, SIGINT and SIGHUP let running requests finish and end with 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const running = await processes.serve(configOf());
    const port = portOf(await listening(running));
    const start = await sendRequest(port, { method: 'POST', target: '/v2/s/blobs/uploads/' });
    const connection = await RawConnection.open(port);
    const patch = headOf(`PATCH ${start.headers.location}`, 'Content-Length: 10', 'Expect: 100-continue');
    connection.send(patch);
    await connection.waitFor(/100 Continue/);
    const ended = endOf(running);
    process.kill(running.pid, signal);
    await running.waitForLine((line) => (line.includes('received signal') ? line : null), 5000);
    connection.send('0123456789');
    const answer = await connection.waitForEnd(10_000);
    assert.match(answer, /HTTP\/1\.1 202 [\s\S]*range: 0-9/i, signal);
    assert.equal(await ended, 0);
  }
});

test('requests that do not finish within the grace are cut off, and what arrived is kept', async () => {
  const config = configOf({ shutdownGrace: '300ms' });
  const running = await processes.serve(config);
  const port = portOf(await listening(running));
  const start = await sendRequest(port, { method: 'POST', target: '/v2/s/blobs/uploads/' });
  const location = String(start.headers.location);
  const connection = await RawConnection.open(port);
  connection.send(headOf(`PATCH ${location}`, 'Content-Length: 3000000') + 'x'.repeat(2_000_000));
  await sendRequest(port, { method: 'GET', target: location });
  const ended = endOf(running, 10_000);
  process.kill(running.pid, 'SIGTERM');
  assert.equal(await ended, 0);
  const again = await processes.serve(config);
  const status = await sendRequest(portOf(await listening(again)), { method: 'GET', target: location });
  assert.equal(status.status, 204);
  assert.match(status.headers.range ?? '', /^0-\d+$/);
  await again.stop(10_000);
});

test('a second signal stops at once', async () => {
  for (const workers of [1, 2]) {
    const running = await processes.serve(configOf({ shutdownGrace: '60s', workers }));
    const port = portOf(await listening(running));
    const connection = await RawConnection.open(port);
    const start = await sendRequest(port, { method: 'POST', target: '/v2/s/blobs/uploads/' });
    connection.send(headOf(`PATCH ${start.headers.location}`, 'Content-Length: 10', 'Expect: 100-continue'));
    await connection.waitFor(/100 Continue/);
    const ended = endOf(running, 5000);
    process.kill(running.pid, 'SIGTERM');
    await running.waitForLine((line) => (line.includes('received signal') ? line : null), 5000);
    process.kill(running.pid, 'SIGTERM');
    assert.equal(await ended, 1);
    await connection.waitForEnd();
  }
});

test('SIGUSR2 opens the log file again after a rotation; SIGHUP does not', async () => {
  for (const workers of [1, 2]) {
    const output = path.join(processes.folder, `zot-${workers}.log`);
    const running = await processes.serve(configOf({ workers }, { log: { level: 'info', output } }));
    const ready = await running.waitForLine(
      (line) => (line.startsWith('zot is ready') ? line : null),
      20_000,
    );
    const port = portOf(/ready at (\S+),/.exec(ready)?.[1] ?? '');
    await rename(output, `${output}.1`);
    process.kill(running.pid, 'SIGUSR2');
    const deadlineMs = performance.now() + 5000;
    for (let text = ''; !text.includes('/v2/?after');) {
      assert.ok(performance.now() < deadlineMs, 'the new file gets no lines');
      await sendRequest(port, { method: 'GET', target: '/v2/?after' });
      text = await readFile(output, 'utf8').catch(() => '');
    }
    assert.equal((await stat(output)).mode & 0o777, 0o600);
    assert.equal(await running.stop(10_000), 0);
    const old = await readFile(`${output}.1`, 'utf8');
    assert.ok(old.includes('"starting"'));
    for (const line of `${old}${await readFile(output, 'utf8')}`.trim().split('\n')) JSON.parse(line);
  }
});

test('a Unix socket is served, and a file that a dead server left there is replaced', async () => {
  const socketPath = path.join(processes.folder, 'zot.sock');
  const config = configOf({ address: `unix:${socketPath}` });
  const first = await processes.serve(config);
  assert.equal(await listening(first), `unix:${socketPath}`);
  const call = { method: 'GET', target: '/v2/', socketPath };
  assert.equal((await sendRequest(0, call)).status, 200);
  const second = await processes.serve(configOf({ address: `unix:${socketPath}` }));
  assert.equal(await endOf(second), 1);
  assert.match(lastLine(second.stderr()), /^Error: the socket .* is in use/);
  await first.kill();
  assert.ok((await stat(socketPath)).isSocket());
  const third = await processes.serve(config);
  await listening(third);
  assert.equal((await sendRequest(0, call)).status, 200);
  assert.equal(await third.stop(10_000), 0);
  await assert.rejects(stat(socketPath));
});

test('a file that is no socket is not touched', async () => {
  const file = path.join(processes.folder, 'precious');
  await writeFile(file, 'precious');
  const running = await processes.serve(configOf({ address: `unix:${file}` }));
  assert.equal(await endOf(running), 1);
  assert.match(lastLine(running.stderr()), /^Error: .*precious exists and is no socket/);
  assert.equal(await readFile(file, 'utf8'), 'precious');
});

test('an address that is not of this machine is one line', async () => {
  const running = await processes.serve(configOf({ address: '192.0.2.1' }));
  assert.equal(await endOf(running), 1);
  assert.match(running.stderr(), /^Error: 192\.0\.2\.1:0 is no address of this machine[^\n]*\n$/);
});

test('a port that another program takes between is still one line', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const running = await processes.serve(configOf({ port: String(port) }));
  assert.equal(await endOf(running), 1);
  assert.match(running.stderr(), /is in use by another program/);
  await new Promise((resolve) => holder.close(resolve));
});
