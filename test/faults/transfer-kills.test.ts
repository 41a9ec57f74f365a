/**
 * Imports and exports whose process, or whose server, is killed with SIGKILL at random moments: what is left is sound,
 * nothing is named by half, and started again they go on where they were.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { writeLayout, tagged } from '../e2e/support/layout.ts';
import { contentOf, descriptorOf, manifestOf, OCI_LAYER } from '../e2e/support/content.ts';
import type { Content } from '../e2e/support/content.ts';
import { eventually } from '../support/eventually.ts';
import { zotJson } from '../support/run-zot.ts';
import { projectRoot, startServer } from '../support/server.ts';
import { readLayouts } from './support/layout-truth.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const ROUNDS = roundsOr(2);
const IMAGES = 30;
const BLOBS_EACH = 4;

interface Report {
  readonly blobsCopied: number;
  readonly blobsPresent: number;
  readonly blobsLinked: number;
}

let folder = '';
let layout = '';
const tags = new Map<string, string>();
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zot-transfer-kills-'));
  layout = join(folder, 'layout');
  await fillLayout();
});
after(() => rm(folder, { recursive: true, force: true }));

async function fillLayout(): Promise<void> {
  const contents: Content[] = [];
  const entries: ReturnType<typeof tagged>[] = [];
  for (let image = 0; image < IMAGES; image += 1) {
    const layers = Array.from({ length: BLOBS_EACH }, (_, at) =>
      contentOf(Buffer.alloc(200_000, `${image}.${at} `), OCI_LAYER),
    );
    const config = contentOf(JSON.stringify({ image }), 'application/vnd.oci.image.config.v1+json');
    const manifest = manifestOf({
      config: descriptorOf(config),
      layers: layers.map((one) => descriptorOf(one)),
    });
    contents.push(config, ...layers, manifest);
    entries.push(tagged(manifest, `v${image}`));
    tags.set(`v${image}`, manifest.digest);
  }
  await writeLayout(layout, { schemaVersion: 2, manifests: entries }, contents);
}

/** A command of ours in a process of its own. */
function zot(...words: string[]): {
  kill(): void;
  readonly ended: Promise<{ code: number; errors: string }>;
} {
  const child = spawn(process.execPath, [join(projectRoot, 'src/bin/zot.ts'), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<{ code: number; errors: string }>((resolve) => {
    child.on('close', (code) => resolve({ code: code ?? -1, errors }));
  });
  return { kill: () => child.kill('SIGKILL'), ended };
}

/** Nothing below a folder is damaged, and no tag names anything but what it should. */
async function requireSound(root: string): Promise<number> {
  const truth = await readLayouts(root);
  assert.deepEqual(truth.faults, []);
  let count = 0;
  for (const found of truth.tags.values()) {
    for (const [tag, digest] of found) assert.equal(digest, tags.get(tag));
    count += found.size;
  }
  return count;
}

/** Lets some of the work be done, as far as a folder tells. */
async function untilWritten(target: string, count: number): Promise<void> {
  const isWritten = async (): Promise<boolean> =>
    (await readdir(target).catch((): string[] => [])).length >= count;
  await eventually(isWritten, 30_000, `${count} files in ${target}`);
}

describe('a transfer that is killed', { timeout: timeoutFor(ROUNDS, 60_000) }, () => {
  const random = new SeededRandom(seed);
  const most = IMAGES * BLOBS_EACH - 20;

  for (const workers of [1, 2]) {
    test(`an import beside a server with ${workers} workers goes on where it was`, async () => {
      const server = await startServer({ config: { http: { workers } } });
      try {
        const blobs = join(server.root, 'app/blobs/sha256');
        for (let round = 0; round < ROUNDS; round += 1) {
          const importing = zot('import', server.configFile, layout, '--repo', 'app');
          await untilWritten(blobs, 1 + random.below(most));
          importing.kill();
          await importing.ended;
          await requireSound(server.root);
        }
        const there = (await readdir(blobs)).length;
        const report = await zotJson<Report>('import', server.configFile, layout, '--repo', 'app');
        assert.ok(
          report.blobsPresent + IMAGES >= there - IMAGES,
          `${report.blobsPresent} of ${there} were there`,
        );
        assert.equal(report.blobsCopied + report.blobsPresent, IMAGES * (BLOBS_EACH + 1));
        assert.equal(await requireSound(server.root), IMAGES);
        const answer = await fetch(`${server.url}/v2/app/tags/list`);
        assert.equal(((await answer.json()) as { tags: string[] }).tags.length, IMAGES);
      } finally {
        await server.stop();
      }
    });
  }

  test('an import whose server is killed says so in one line, and goes on when it is back', async () => {
    const root = join(folder, 'served');
    await mkdir(root);
    let server = await startServer({ root });
    const importing = zot('import', server.configFile, layout, '--repo', 'app');
    await untilWritten(join(root, 'app/blobs/sha256'), 1 + random.below(most / 2));
    await server.kill();
    const { code, errors } = await importing.ended;
    await server.stop();
    if (code !== 0) {
      const lines = errors.split('\n').filter((line) => line.startsWith('Error: '));
      assert.equal(lines.length, 1, errors);
    }
    await requireSound(root);
    server = await startServer({ root });
    try {
      await zotJson('import', server.configFile, layout, '--repo', 'app');
      assert.equal(await requireSound(root), IMAGES);
    } finally {
      await server.stop();
    }
  });

  test('an export into a folder is a layout at any moment, and goes on where it was', async () => {
    const root = join(folder, 'source');
    await mkdir(root);
    await zotJson('import', root, layout, '--repo', 'app');
    const target = join(folder, 'exported');
    for (let round = 0; round < ROUNDS; round += 1) {
      const exporting = zot('export', root, '--all', '--to', target);
      await untilWritten(join(target, 'app/blobs/sha256'), 1 + random.below(most));
      exporting.kill();
      await exporting.ended;
      if ((await readdir(folder)).includes('exported')) await requireSound(target);
    }
    const there = await readdir(join(target, 'app/blobs/sha256'));
    const report = await zotJson<Report>('export', root, '--all', '--to', target);
    assert.ok(report.blobsPresent > 0 && report.blobsPresent >= there.length - IMAGES);
    assert.equal(await requireSound(target), IMAGES);
    assert.deepEqual((await readLayouts(target)).uploads, []);
  });

  test('an archive that was not finished has no name, and is swept away later', async () => {
    const root = join(folder, 'source');
    const target = join(folder, 'archive');
    await mkdir(target);
    const exporting = zot('export', root, 'app', '--to', join(target, 'app.tar'));
    await untilWritten(target, 1);
    exporting.kill();
    await exporting.ended;
    const left = (await readdir(target)).filter((name) => name.endsWith('.part'));
    for (const name of left) await utimes(join(target, name), 0, 0);
    await writeFile(join(target, 'app.tar.part'), 'of somebody else');
    await zotJson('export', root, 'app', '--to', join(target, 'app.tar'));
    assert.deepEqual((await readdir(target)).sort(), ['app.tar', 'app.tar.part']);
  });
});
