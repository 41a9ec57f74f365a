/** A repository with thousands of tags: what goes, goes in pieces, and a process that is killed in between goes on. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { imageOf } from '../../e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../e2e/support/layout.ts';
import { startServer } from '../../support/server.ts';
import { eventually } from '../support/eventually.ts';
import { roundsOr } from '../support/settings.ts';
import { checkFolder } from '../support/zot-check.ts';

const TAGS = roundsOr(1) > 1 ? 50_000 : 4_000;
const IMAGES = 20;
/** One tag of so many is kept. */
const KEPT_EVERY = 100;
const PATIENCE_MS = 60_000;

async function countTags(url: string): Promise<{ count: number; kept: number }> {
  const answer = await fetch(`${url}/v2/team/app/tags/list`);
  const { tags } = (await answer.json()) as { tags: readonly string[] };
  return { count: tags.length, kept: tags.filter((tag) => tag.startsWith('keep-')).length };
}

test(
  'a process that is killed while tags go leaves those that stay, and goes on after it',
  { timeout: 240_000 },
  async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'zot-retention-'));
    const images = Array.from({ length: IMAGES }, (_, at) => imageOf(`image ${at}`));
    const names = Array.from({ length: TAGS }, (_, at) => `${at % KEPT_EVERY === 0 ? 'keep' : 'old'}-${at}`);
    const manifests = names.map((tag, at) => tagged((images[at % IMAGES] ?? imageOf('none')).manifest, tag));
    await writeLayout(
      path.join(root, 'team/app'),
      { schemaVersion: 2, manifests },
      images.flatMap(contentsOf),
    );
    const policies = [{ repositories: ['**'], keepTags: [{ patterns: ['^keep-'] }] }];
    const options = { root, config: { storage: { retention: { policies } }, http: { workers: 1 } } };
    try {
      for (const when of ['"decision":"delete"', null]) {
        const server = await startServer(options);
        try {
          if (when === null) {
            await eventually(
              async () => assert.equal((await countTags(server.url)).count, TAGS / KEPT_EVERY),
              PATIENCE_MS,
            );
          } else {
            await eventually(async () => assert.ok(server.stdout().includes(when)), PATIENCE_MS);
            await server.kill();
          }
        } finally {
          await server.stop();
        }
        assert.deepEqual(await checkFolder(root), []);
      }
    } finally {
      await rm(root, { recursive: true });
    }
  },
);
