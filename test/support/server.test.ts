import assert from 'node:assert/strict';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { startServer } from './server.ts';

/** Answers each start as the real server does, so that the start-up contract is tested apart from it. */
const standIn = `
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
const config = JSON.parse(readFileSync(process.argv[3], 'utf8'));
if (config.log.level === 'refuse') { console.error('refused'); process.exit(1); }
const server = createServer((request, response) => response.end(JSON.stringify(config)));
server.listen(Number(config.http.port), config.http.address, () => {
  const url = 'http://127.0.0.1:' + server.address().port + '/';
  if (config.log.level !== 'silent') console.log(JSON.stringify({ message: 'listening', url }));
});
process.on('SIGTERM', () => process.exit(0));
`;

let folder = '';
let command: string[] = [];
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-stand-in-'));
  const script = path.join(folder, 'stand-in.mjs');
  await writeFile(script, standIn);
  command = [process.execPath, script];
});
after(async () => {
  await rm(folder, { recursive: true });
});

test('starts on a free port with the merged configuration and removes its folder on stop', async () => {
  const server = await startServer({ command, config: { http: { realm: 'here' }, log: { level: 'debug' } } });
  const config: unknown = await (await fetch(server.url)).json();
  assert.deepEqual(config, {
    storage: { rootDirectory: server.root },
    http: { address: '127.0.0.1', port: '0', workers: 1, compat: ['docker2s2'], realm: 'here' },
    log: { level: 'debug' },
  });
  assert.equal(server.host, `127.0.0.1:${server.port}`);
  assert.match(server.stdout(), /listening/);
  assert.equal(await server.stop(), 0);
  await assert.rejects(access(server.root));
});

test('keeps a root folder that the caller brought', async () => {
  const server = await startServer({ command, root: folder });
  await server.kill();
  assert.equal(await server.stop(), -1);
  await access(folder);
});

test('reports the output of a server that refuses to start', async () => {
  await assert.rejects(startServer({ command, config: { log: { level: 'refuse' } } }), /refused/);
});

test('reports a server that cannot be started', async () => {
  await assert.rejects(startServer({ command: ['/does/not/exist'] }), /ENOENT/);
});

test('gives up on a server that does not listen in time', async () => {
  await assert.rejects(
    startServer({ command, config: { log: { level: 'silent' } }, readyTimeoutMs: 500 }),
    /did not start/,
  );
});
