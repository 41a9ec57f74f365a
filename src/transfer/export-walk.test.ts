/** Exports while clients change what is exported. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Duplex, Readable } from 'node:stream';
import type { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { isDigest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import { descriptorOf, imageOf, indexOf } from '../../test/e2e/support/content.ts';
import type { Content, Image } from '../../test/e2e/support/content.ts';
import { contentsOf, tagged, writeLayout } from '../../test/e2e/support/layout.ts';
import { openRegistry } from '../../test/faults/support/opened-registry.ts';
import type { OpenedRegistry } from '../../test/faults/support/opened-registry.ts';
import { openArchiveStream } from './archive-input.ts';
import { findArchiveIndex } from './archive-intake.ts';
import { exportLayouts } from './export-layout.ts';
import { importLayouts } from './import-layout.ts';
import { Tally } from './tally.ts';

const repo = parseRepoName('app');
const first = imageOf('first');
const second = imageOf('second');
const signature = imageOf('signature', { subject: descriptorOf(second.manifest) });

let folder = '';
let opened: OpenedRegistry;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-export-'));
  const root = path.join(folder, 'root');
  const layout = path.join(folder, 'layout');
  const manifests = [
    tagged(first.manifest, 'first'),
    tagged(second.manifest, 'second'),
    descriptorOf(signature.manifest),
  ];
  await writeLayout(layout, { schemaVersion: 2, manifests }, [first, second, signature].flatMap(contentsOf));
  opened = await openRegistry({ root, driver: new LocalDriver(root), durable: false });
  const tally = new Tally();
  for (const name of ['app', 'gone'].map(parseRepoName))
    await importLayouts(
      { ...opened, tally, manifestSizeBytesMax: 1e6 },
      { source: layout, repo: name, tags: [] },
    );
  assert.deepEqual(tally.skipped, []);
});
after(async () => {
  await opened.close();
  await rm(folder, { recursive: true });
});

/** Takes an archive, and does something when the first bytes have come. */
function archiveTaker(onStart: () => Promise<void>): { target: Writable; bytes: () => Buffer } {
  const pieces: Buffer[] = [];
  const target = Duplex.from(async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      pieces.push(Buffer.from(chunk));
      if (pieces.length === 1) await onStart();
    }
  });
  return { target, bytes: () => Buffer.concat(pieces) };
}

async function remove(name: typeof repo, image: Image): Promise<void> {
  const { digest } = image.manifest;
  assert.ok(isDigest(digest));
  await opened.keeper.deleteManifest(name, { kind: 'digest', digest }, Infinity);
}

test('what is deleted while it is exported is left out, and is no failure', async () => {
  const { target, bytes } = archiveTaker(() => remove(repo, first));
  const tally = new Tally();
  await exportLayouts(opened, { selections: [{ repo, references: [] }], target, referrers: true }, tally);
  assert.equal(tally.skippedCount, 0);
  const entries = await findArchiveIndex(await openArchiveStream(Readable.from([bytes()])));
  assert.deepEqual(new Set(entries.map(({ tag }) => tag)), new Set(['second', null]));
});

test('a repository that is deleted while all are exported is left out, and is no failure', async () => {
  const tally = new Tally(() => undefined);
  let removed = false;
  const listing = opened.registry.listing.repositories.bind(opened.registry.listing);
  // The listing is done, and then the second repository goes.
  opened.registry.listing.repositories = async (...page) => {
    const found = await listing(...page);
    if (!removed) {
      removed = true;
      await opened.index.removeRepository(parseRepoName('gone'));
      await rm(path.join(folder, 'root/gone'), { recursive: true });
    }
    return found;
  };
  const target = path.join(folder, 'all');
  await exportLayouts(opened, { selections: 'all', target, referrers: true }, tally);
  assert.deepEqual([tally.skippedCount, removed], [0, true]);
  assert.match(await readFile(path.join(target, 'app/index.json'), 'utf8'), /second/);
});

test('indexes that list the same indexes over and over are walked once', { timeout: 60_000 }, async () => {
  const levels = [[first.manifest]];
  // Four indexes on each level, each listing all below: more ways down than anybody could go.
  for (let level = 1; level <= 14; level += 1) {
    const below = (levels.at(-1) ?? []).map((content) => descriptorOf(content));
    levels.push(['a', 'b', 'c', 'd'].map((name) => indexOf(below, { annotations: { name } })));
  }
  const top = levels.at(-1)?.[0];
  assert.ok(top);
  const layout = path.join(folder, 'nested');
  const contents: Content[] = [...contentsOf(first), ...levels.flat()];
  await writeLayout(layout, { schemaVersion: 2, manifests: [tagged(top, 'top')] }, contents);
  const name = parseRepoName('nested');
  const parts = { ...opened, tally: new Tally(), manifestSizeBytesMax: 1e6 };
  await importLayouts(parts, { source: layout, repo: name, tags: [] });
  const tally = new Tally();
  const target = path.join(folder, 'nested-out');
  const selections = [{ repo: name, references: [] }];
  await exportLayouts(opened, { selections, target, referrers: true }, tally);
  assert.deepEqual([tally.skipped, tally.counts.manifests], [[], 13 * 4 + 2]);
});
