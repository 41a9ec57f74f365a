/** What a server stored before its restart may have rotted since: no push relies on it unread. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { rot } from '../../support/rot.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { contentOf } from '../support/content.ts';
import type { Content } from '../support/content.ts';

const PATIENCE_MS = 30_000;
const TYPE = 'application/octet-stream';
let folder = '';
before(async () => (folder = await mkdtemp(path.join(tmpdir(), 'zot-rotted-'))));
after(() => rm(folder, { recursive: true }));

const fileOf = (root: string, repo: string, { digest }: Content): string =>
  path.join(root, repo, 'blobs', ...digest.split(':'));

/** In two requests, as clients do. */
async function push(server: RunningServer, repo: string, { digest, bytes }: Content): Promise<void> {
  const begun = await fetch(`${server.url}/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  assert.equal(begun.status, 202, await begun.text());
  const target = new URL(begun.headers.get('location') ?? '', server.url);
  target.searchParams.set('digest', digest);
  const headers = { 'content-type': TYPE };
  const answer = await fetch(target, { method: 'PUT', headers, body: Buffer.from(bytes) });
  assert.equal(answer.status, 201, await answer.text());
}

async function isServed(server: RunningServer, repo: string, { digest, bytes }: Content): Promise<boolean> {
  const answer = await fetch(`${server.url}/v2/${repo}/blobs/${digest}`);
  return Buffer.from(await answer.arrayBuffer()).equals(bytes);
}

for (const { workers, dedupe } of [
  { workers: 1, dedupe: true },
  { workers: 2, dedupe: true },
  { workers: 1, dedupe: false },
]) {
  const name = `a restart between rot and push, with ${workers} serving and dedupe ${dedupe}`;
  test(name, { timeout: 120_000 }, async () => {
    const root = path.join(folder, `${workers}-${dedupe}`);
    const config = { storage: { dedupe }, http: { workers } };
    const elsewhere = contentOf(Buffer.alloc(5_000_000, `elsewhere ${workers}`), TYPE);
    const same = contentOf(Buffer.alloc(300_000, `the same ${workers}`), TYPE);
    const first = await startServer({ root, config });
    await push(first, 'team/a', elsewhere);
    for (const repo of ['team/a', 'team/b']) await push(first, repo, same);
    await first.stop();
    for (const content of [elsewhere, same]) await rot(fileOf(root, 'team/a', content));
    const server = await startServer({ root, config });
    try {
      await push(server, 'team/b', elsewhere);
      await push(server, 'team/a', same);
      // What was acknowledged is there at once.
      assert.ok(await isServed(server, 'team/b', elsewhere));
      assert.ok(await isServed(server, 'team/a', same));
      assert.deepEqual(await readFile(fileOf(root, 'team/b', elsewhere)), elsewhere.bytes);
      await eventually(() => isServed(server, 'team/b', same), PATIENCE_MS, 'the same is mended');
      if (!dedupe) return;
      // The log of another process comes a little later.
      const isNamed = (): boolean => server.stdout().includes('the stored content is damaged (wrong-digest)');
      await eventually(isNamed, PATIENCE_MS, 'the damage is named');
      await eventually(() => isServed(server, 'team/a', elsewhere), PATIENCE_MS, 'the other is mended');
    } finally {
      await server.stop();
    }
  });
}
