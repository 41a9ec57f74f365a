/** Exports into one folder: one at a time, also into what lies in it, and after one that was killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runZot, zotJson } from '../../support/run-zot.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { imageOf } from '../support/content.ts';
import { contentsOf, tagged, writeLayout } from '../support/layout.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-exports-'));
const at = (name: string): string => path.join(folder, name);
const image = imageOf('exported');
const children: ChildProcess[] = [];
let server: RunningServer;

before(async () => {
  server = await startServer({ root: at('data') });
  const index = { schemaVersion: 2, manifests: [tagged(image.manifest, 'v1')] };
  await writeLayout(at('layout'), index, contentsOf(image));
  for (const repo of ['other', 'team/app']) await zotJson('import', at('data'), at('layout'), '--repo', repo);
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** An export in a process of its own that is in the middle of its work, and stays there. */
async function stalled(...words: string[]): Promise<ChildProcess> {
  const script = path.join(import.meta.dirname, 'stalled-export.ts');
  const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[];
  assert.equal(String(said), 'copying\n');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const REFUSED = /^Error: [^\n]+ another export fills it[^\n]*\n$/;

test('a second export into a folder is refused, and goes on after the first was killed', async () => {
  const first = await stalled(at('data'), at('copy'));
  for (const words of [
    ['--all', '--to', at('copy')],
    ['team/app', '--to', at('copy')],
    ['team/app', '--to', at('copy/team/app')],
    ['team/app', '--to', at('copy/new')],
  ]) {
    const { exitCode, errors } = await runZot('export', at('data'), ...words);
    assert.equal(exitCode, 1, words.join(' '));
    assert.match(errors, REFUSED);
  }
  assert.equal(existsSync(at('copy/new')), false);
  await zotJson('export', at('data'), 'team/app', '--to', at('elsewhere'));
  await kill(first);
  const report = await zotJson<{ manifests: number }>('export', at('data'), '--all', '--to', at('copy'));
  assert.equal(report.manifests, 2);
  assert.ok(existsSync(at('copy/other/index.json')) && existsSync(at('copy/team/app/index.json')));
  assert.equal(statSync(at('copy/_zot')).mode & 0o777, 0o700);
  // The lock is no content.
  mkdirSync(at('second'));
  const again = await zotJson<{ tags: number }>('import', at('second'), at('copy'));
  assert.equal(again.tags, 2);
});

test('an export of everything leaves out the repository that another one fills', async () => {
  const first = await stalled(at('data'), at('many/team/app'), 'team/app');
  const { exitCode, text } = await runZot('export', at('data'), '--all', '--to', at('many'));
  assert.equal(exitCode, 1);
  assert.match(text, /^not exported: team\/app: [^\n]+ another export fills it/m);
  assert.ok(existsSync(at('many/other/index.json')));
  assert.equal(existsSync(at('many/team/app/index.json')), false);
  await kill(first);
});

test('a server does not serve a folder that an export fills', async () => {
  const first = await stalled(at('data'), at('served'));
  await assert.rejects(startServer({ root: at('served') }), /in use/);
  await kill(first);
  const late = await startServer({ root: at('served') });
  await late.stop();
});
