/** Commands that write beside a server: into the stores that it serves, and only as its user. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { chown, mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { getuid } from 'node:process';
import { after, test } from 'node:test';
import { runZot, zotJson } from '../../support/run-zot.ts';
import { startServer } from '../../support/server.ts';
import { controlSocketPath } from '../../../src/control/socket-path.ts';
import { imageOf } from '../support/content.ts';
import { contentsOf, tagged, writeLayout } from '../support/layout.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-beside-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);
const image = imageOf('beside');

async function layout(): Promise<string> {
  const index = { schemaVersion: 2, manifests: [tagged(image.manifest, 'v1')] };
  await writeLayout(at('layout'), index, contentsOf(image));
  return at('layout');
}

test(
  'an import by the folder goes into the sub path that the server keeps',
  { timeout: 60_000 },
  async () => {
    const storage = { subPaths: { '/infra': { rootDirectory: at('infra') } } };
    const server = await startServer({ root: at('main'), config: { storage } });
    try {
      // The folder says nothing of sub paths; the server does.
      await zotJson('import', at('main'), await layout(), '--repo', 'infra/app');
      await zotJson('import', at('main'), await layout(), '--repo', 'app');
      assert.ok(existsSync(at('infra/infra/app/index.json')));
      assert.equal(existsSync(at('main/infra')), false);
      for (const repo of ['infra/app', 'app'])
        assert.equal((await fetch(`${server.url}/v2/${repo}/manifests/v1`)).status, 200);
      await zotJson('export', at('main'), '--all', '--to', at('both'));
      assert.ok(existsSync(at('both/infra/app/index.json')) && existsSync(at('both/app/index.json')));
    } finally {
      await server.stop();
    }
  },
);

test('an export does not write into a storage that is served', { timeout: 60_000 }, async () => {
  const server = await startServer({ root: at('live') });
  try {
    await zotJson('import', at('live'), await layout(), '--repo', 'app');
    const begun = await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: 'POST' });
    const upload = new URL(begun.headers.get('location') ?? '', server.url);
    const targets = [
      ['app', '--to', at('live/app')],
      ['app', '--to', at('live/new/below')],
      ['--all', '--to', at('live')],
    ];
    for (const words of targets) {
      const { exitCode, errors } = await runZot('export', at('live'), ...words);
      assert.equal(exitCode, 1);
      assert.match(
        errors,
        /^Error: [^\n]+ lies in the storage [^\n]+ serves it[^\n]+ use "zot import" there[^\n]*\n$/,
      );
    }
    assert.equal((await fetch(upload)).status, 204, 'the upload is gone');
    assert.equal(existsSync(at('live/new')), false);
  } finally {
    await server.stop();
  }
});

test('a read-only registry takes no import', { timeout: 60_000 }, async () => {
  const server = await startServer({ root: at('frozen'), config: { storage: { readOnly: true } } });
  try {
    const { exitCode, errors } = await runZot('import', at('frozen'), await layout(), '--repo', 'app');
    assert.equal(exitCode, 1);
    assert.match(errors, /^Error: the registry is in read-only mode[^\n]*\n$/);
  } finally {
    await server.stop();
  }
});

test(
  'an import that is asked of a connection with noise does the server no harm',
  { timeout: 60_000 },
  async () => {
    const server = await startServer({ root: at('noisy') });
    try {
      const socket = connect(controlSocketPath(at('noisy/_zot')));
      const ended = new Promise((resolve) => socket.on('close', resolve));
      socket.on('error', () => undefined);
      socket.write(`${JSON.stringify({ command: 'keeper.attach', args: {} })}\n`);
      await new Promise((resolve) => socket.once('data', resolve));
      socket.write(Buffer.alloc(1000, 0xff));
      await ended;
      await zotJson('import', server.configFile, await layout(), '--repo', 'app');
      assert.equal(await server.stop(), 0);
    } finally {
      await server.stop();
    }
  },
);

test('the server ends at once though a command is attached', { timeout: 60_000 }, async () => {
  const server = await startServer({ root: at('attached') });
  const socket = connect(controlSocketPath(at('attached/_zot')));
  socket.on('error', () => undefined);
  const ended = new Promise((resolve) => socket.on('close', resolve));
  socket.write(`${JSON.stringify({ command: 'keeper.attach', args: {} })}\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  assert.equal(await server.stop(), 0);
  await ended;
});

const notRoot = getuid?.() === 0 ? false : 'only root can give a folder away';

test('nothing is written into the folder of another user', { skip: notRoot }, async () => {
  const root = at('foreign');
  await mkdir(path.join(root, '_zot'), { recursive: true });
  await chown(path.join(root, '_zot'), 65_534, 65_534);
  for (const words of [
    ['import', root, await layout(), '--repo', 'app'],
    ['export', root, '--all', '--to', at('stolen')],
    ['backup', root, '--to', at('stolen.db')],
    ['restore', root, '--from', at('stolen.db')],
  ]) {
    const { exitCode, errors } = await runZot(...words);
    assert.equal(exitCode, 1);
    assert.match(
      errors,
      /^Error: the registry runs as user 65534: run this command as that user, as in [^\n]+\n$/,
    );
  }
  assert.equal(existsSync(path.join(root, '_zot/index.db')), false);
});

test('the example of the documentation says what is done', async () => {
  const page = await readFile(path.join(import.meta.dirname, '../../../docs/moving.md'), 'utf8');
  for (const name of ['export', 'import', 'backup', 'restore'])
    assert.match(page, new RegExp(`\nzot ${name} `));
});
