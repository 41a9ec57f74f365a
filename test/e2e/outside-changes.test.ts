import assert from 'node:assert/strict';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { jsonOf, statusAndCode } from './support/client.ts';
import { descriptorOf, expectStatus, imageOf, pushImage, putManifest } from './support/content.ts';
import { contentsOf, tagged, writeBlobs, writeLayout } from './support/layout.ts';
import { serveRegistry, type Served } from './support/served.ts';

/** The promise for local folders: a change by another tool is served within two seconds. */
const SERVED_WITHIN_MS = 2000;

let served: Served;
before(async () => {
  served = await serveRegistry();
});
after(() => served.close());

const [ours, theirs, third] = [imageOf('ours'), imageOf('theirs'), imageOf('third')];
const indexFile = (repo: string): string => path.join(served.root, repo, 'index.json');

interface IndexJson {
  manifests: { digest: string }[];
}

/** Rewrites index.json as another tool would: parsed, changed, put in place. */
async function edit(repo: string, change: (index: IndexJson) => unknown, inPlace = false): Promise<void> {
  const index = JSON.parse(await readFile(indexFile(repo), 'utf8')) as IndexJson;
  const text = JSON.stringify(change(index));
  if (inPlace) return writeFile(indexFile(repo), text);
  await writeFile(`${indexFile(repo)}.new`, text);
  await rename(`${indexFile(repo)}.new`, indexFile(repo));
}

/** Asks again and again until the answer is the one that is waited for, at most for the promised time. */
const until = (what: string, isSo: () => Promise<boolean>): Promise<number> =>
  eventually(isSo, SERVED_WITHIN_MS, what);

const status = async (repo: string, reference: string): Promise<number> =>
  (await served.request('HEAD', `/v2/${repo}/manifests/${reference}`)).status;

test('a tag that another tool adds is served within two seconds, and a push joins it', async () => {
  for (const inPlace of [false, true]) {
    const repo = `added/${inPlace}`;
    await pushImage(served, repo, ours, 'ours');
    assert.equal(await status(repo, 'theirs'), 404);
    await writeBlobs(path.join(served.root, repo), contentsOf(theirs));
    await edit(
      repo,
      (index) => ({ ...index, manifests: [...index.manifests, tagged(theirs.manifest, 'theirs')] }),
      inPlace,
    );
    await until('the new tag', async () => (await status(repo, 'theirs')) === 200);
    await pushImage(served, repo, third, 'third');
    const tags = jsonOf(await served.request('GET', `/v2/${repo}/tags/list`));
    assert.deepEqual(tags, { name: repo, tags: ['ours', 'theirs', 'third'] });
    const { manifests } = JSON.parse(await readFile(indexFile(repo), 'utf8')) as IndexJson;
    assert.equal(manifests.length, 3);
  }
});

test('a push right after the change of another tool loses neither', async () => {
  await pushImage(served, 'race', ours, 'ours');
  for (const blob of contentsOf(third)) await writeBlobs(path.join(served.root, 'race'), [blob]);
  await writeBlobs(path.join(served.root, 'race'), contentsOf(theirs));
  await edit('race', (index) => ({
    ...index,
    manifests: [...index.manifests, tagged(theirs.manifest, 'theirs')],
  }));
  expectStatus(await putManifest(served, 'race', third.manifest, 'third'), 201);
  const tags = jsonOf(await served.request('GET', '/v2/race/tags/list'));
  assert.deepEqual(tags, { name: 'race', tags: ['ours', 'theirs', 'third'] });
});

test('a tag that another tool moves or removes is followed', async () => {
  await pushImage(served, 'moved', ours, 'v1');
  await pushImage(served, 'moved', third, 'v2');
  await writeBlobs(path.join(served.root, 'moved'), contentsOf(theirs));
  await edit('moved', () => ({ schemaVersion: 2, manifests: [tagged(theirs.manifest, 'v1')] }));
  await until('the moved tag', async () => {
    const answer = await served.request('GET', '/v2/moved/manifests/v1');
    return answer.headers['docker-content-digest'] === theirs.manifest.digest;
  });
  assert.equal(await status('moved', 'v2'), 404);
});

test('several changes within a second are all seen in the end', async () => {
  await pushImage(served, 'quick', ours, 'start');
  await writeBlobs(path.join(served.root, 'quick'), contentsOf(theirs));
  for (let at = 0; at < 20; at += 1) {
    // The same length each time, so that only the times of the file tell.
    const tag = `v${String(at).padStart(2, '0')}`;
    await edit('quick', () => ({ schemaVersion: 2, manifests: [tagged(theirs.manifest, tag)] }), true);
    await status('quick', tag);
  }
  await until('the last change', async () => (await status('quick', 'v19')) === 200);
});

test('a repository that another tool writes is served, and one that it removes is unknown', async () => {
  assert.equal(await status('appeared', 'v1'), 404);
  const index = { schemaVersion: 2, manifests: [tagged(theirs.manifest, 'v1')] };
  await writeLayout(path.join(served.root, 'appeared'), index, contentsOf(theirs));
  await until('the new repository', async () => (await status('appeared', 'v1')) === 200);
  const catalog = async (): Promise<string> => (await served.request('GET', '/v2/_catalog')).text;
  assert.ok((await catalog()).includes('"appeared"'));
  await rm(path.join(served.root, 'appeared'), { recursive: true });
  await until('the removal', async () => (await status('appeared', 'v1')) === 404);
  const tags = await served.request('GET', '/v2/appeared/tags/list');
  assert.equal(statusAndCode(tags), '404 NAME_UNKNOWN');
  assert.ok(!(await catalog()).includes('"appeared"'));
});

test(
  'an index.json that cannot be read leaves the last good state in force, and a mended one ' + 'counts again',
  async () => {
    await pushImage(served, 'torn', ours, 'v1');
    const good = await readFile(indexFile('torn'));
    await writeFile(indexFile('torn'), good.subarray(0, 40));
    // Long enough for the broken file to have been looked at.
    await until('a warning', async () => {
      await status('torn', 'v1');
      const lines = await served.logLines();
      return lines.some(
        ({ repository, message }) => repository === 'torn' && String(message).includes('index.json'),
      );
    });
    assert.equal(await status('torn', 'v1'), 200);
    const index = { schemaVersion: 2, manifests: [descriptorOf(ours.manifest), tagged(ours.manifest, 'v2')] };
    await writeFile(indexFile('torn'), JSON.stringify(index));
    await until('the mended file', async () => (await status('torn', 'v2')) === 200);
    assert.equal(await status('torn', 'v1'), 404);
  },
);
