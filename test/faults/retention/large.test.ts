/** A repository with thousands of tags: what goes, goes in pieces, and a process that is killed in between goes on. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { imageOf } from '../../e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../e2e/support/layout.ts';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { retry } from '../../support/eventually.ts';
import { roundsOr } from '../support/settings.ts';
import { checkFolder } from '../support/zot-check.ts';

const TAGS = roundsOr(1) > 1 ? 10_000 : 4_000;
const IMAGES = 20;
/** One tag of so many is kept. */
const KEPT_EVERY = 100;
const PATIENCE_MS = 180_000;

const policies = [{ repositories: ['**'], keepTags: [{ patterns: ['^keep-'] }] }];

async function requireKept(url: string): Promise<void> {
  const answer = await fetch(`${url}/v2/team/app/tags/list`);
  const { tags } = (await answer.json()) as { tags: readonly string[] };
  assert.equal(tags.length, TAGS / KEPT_EVERY);
  assert.ok(tags.every((tag) => tag.startsWith('keep-')));
}

/** Serves a folder, with retention, until the work is done; it is sound afterwards. */
async function serve(root: string, work: (server: RunningServer) => Promise<void>): Promise<void> {
  const config = { storage: { retention: { policies } }, http: { workers: 1 } };
  const server = await startServer({ root, config });
  try {
    await work(server);
  } finally {
    await server.stop();
  }
  assert.deepEqual(await checkFolder(root), []);
}

const title = 'a process that is killed while tags go leaves those that stay, and goes on after it';

test(title, { timeout: 420_000 }, async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'zot-retention-'));
  const images = Array.from({ length: IMAGES }, (_, at) => imageOf(`image ${at}`));
  const names = Array.from({ length: TAGS }, (_, at) => `${at % KEPT_EVERY === 0 ? 'keep' : 'old'}-${at}`);
  const manifests = names.map((tag, at) => tagged((images[at % IMAGES] ?? imageOf('none')).manifest, tag));
  const index = { schemaVersion: 2, manifests };
  try {
    await writeLayout(path.join(root, 'team/app'), index, images.flatMap(contentsOf));
    await serve(root, async (server) => {
      const isBegun = async (): Promise<void> => assert.ok(server.stdout().includes('"decision":"delete"'));
      await retry(isBegun, PATIENCE_MS);
      await server.kill();
    });
    await serve(root, (server) => retry(() => requireKept(server.url), PATIENCE_MS));
  } finally {
    await rm(root, { recursive: true });
  }
});
