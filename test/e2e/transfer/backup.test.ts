/** `zot backup` while clients work, and `zot restore` of what it wrote. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { runZot, zotJson } from '../../support/run-zot.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-backup-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

const basic = { authorization: `Basic ${Buffer.from('alice:secret').toString('base64')}` };

async function serve(root: string, workers: number): Promise<RunningServer> {
  await writeFile(at('htpasswd'), `alice:${hashSync('secret', 4)}\n`);
  const auth = { htpasswd: { path: at('htpasswd') }, apikey: true };
  return startServer({ root, config: { http: { workers, auth } } });
}

async function newKey(server: RunningServer, label: string): Promise<string> {
  const answer = await fetch(`${server.url}/zot/auth/apikey`, {
    method: 'POST',
    headers: { ...basic, 'content-type': 'application/json' },
    body: JSON.stringify({ label }),
  });
  assert.equal(answer.status, 201, await answer.clone().text());
  return ((await answer.json()) as { apiKey: string }).apiKey;
}

async function works(server: RunningServer, key: string): Promise<boolean> {
  const authorization = `Basic ${Buffer.from(`alice:${key}`).toString('base64')}`;
  return (await fetch(`${server.url}/v2/`, { headers: { authorization } })).status === 200;
}

for (const workers of [1, 2]) {
  test(
    `records that are copied while keys are made come back whole, with ${workers} workers`,
    { timeout: 120_000 },
    async () => {
      const root = at(`root-${workers}`);
      await mkdir(root);
      const file = at(`records-${workers}.db`);
      let server = await serve(root, workers);
      const before = await newKey(server, 'before');
      const making = Promise.all(Array.from({ length: 10 }, (_, one) => newKey(server, `while ${one}`)));
      await zotJson('backup', server.configFile, '--to', file);
      await making;
      const later = await newKey(server, 'later');
      const refused = await runZot('restore', server.configFile, '--from', file);
      assert.match(refused.errors, /^Error: stop the server first: [^\n]+\n$/);
      const { configFile } = server;
      await copyFile(configFile, at('config.json'));
      await server.stop();
      await zotJson('restore', at('config.json'), '--from', file);
      server = await serve(root, workers);
      try {
        assert.deepEqual([await works(server, before), await works(server, later)], [true, false]);
        assert.equal((await stat(file)).mode & 0o777, 0o600);
        assert.deepEqual(
          (await readdir(path.join(root, '_zot'))).filter((name) => name.startsWith('.records')),
          [],
        );
      } finally {
        await server.stop();
      }
    },
  );
}

test('a folder whose records are lost or damaged gets them back', { timeout: 60_000 }, async () => {
  const root = at('lost');
  await mkdir(root);
  let server = await serve(root, 1);
  const key = await newKey(server, 'kept');
  await server.stop();
  await zotJson('backup', root, '--to', at('kept.db'));
  const records = path.join(root, '_zot/records.db');
  for (const harm of [() => rm(records), () => writeFile(records, 'x'.repeat(50_000))]) {
    await harm();
    // Left by an owner that was killed.
    await writeFile(`${records}-wal`, 'not a journal of this file');
    await zotJson('restore', root, '--from', at('kept.db'));
    server = await serve(root, 1);
    assert.equal(await works(server, key), true);
    await server.stop();
  }
});

test('what cannot be used is refused, and nothing is changed', async () => {
  const root = at('refused');
  await mkdir(path.join(root, '_zot'), { recursive: true });
  const expect = async (words: string[], expected: RegExp): Promise<void> => {
    const { exitCode, errors } = await runZot(...words);
    assert.equal(exitCode, 1);
    assert.match(errors, expected);
    assert.match(errors, /^Error: [^\n]+\n$/);
  };
  await expect(['backup', root, '--to', at('x.db')], /there are no records/);
  await expect(['backup', root], /--to <file>/);
  await zotJson('import', root, await emptyLayout(), '--repo', 'a');
  await expect(['backup', root, '--to', folder], /is a folder: name a file in it/);
  await expect(['backup', root, '--to', at('none/x.db')], /cannot be copied/);
  await zotJson('backup', root, '--to', at('good.db'));
  const before = await readFile(path.join(root, '_zot/records.db'));
  await writeFile(at('text.db'), 'this is no database at all');
  new DatabaseSync(at('other.db')).exec('CREATE TABLE x (y)');
  await copyFile(at('good.db'), at('newer.db'));
  new DatabaseSync(at('newer.db')).exec('PRAGMA user_version = 1000');
  const torn = await readFile(at('good.db'));
  await writeFile(
    at('torn.db'),
    Buffer.concat([torn.subarray(0, 4096), Buffer.alloc(torn.length - 4096, 7)]),
  );
  for (const name of ['text.db', 'other.db', 'newer.db', 'torn.db', 'none.db'])
    await expect(['restore', root, '--from', at(name)], /cannot be restored|there is no/);
  assert.deepEqual(await readFile(path.join(root, '_zot/records.db')), before);
});

async function emptyLayout(): Promise<string> {
  await mkdir(at('empty'), { recursive: true });
  await writeFile(at('empty/index.json'), '{"schemaVersion":2,"manifests":[]}');
  return at('empty');
}
