/**
 * R8 and R9: each kind of file of a repository deleted, emptied, cut off, overwritten, with one bit flipped. What is
 * damaged is never answered with 200 and is named in the log; everything else, in the same repository and in others,
 * is answered as before; and pushing again mends it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serveInProcess } from './support/in-process-server.ts';
import type { InProcessServer } from './support/in-process-server.ts';
import { imageOf, randomContent } from './support/images.ts';
import { pushBlob, pushImage, pushManifest } from './support/pushing.ts';
import { answersOf, blobFile, fillRepository, onCopy } from './support/sample-folder.ts';
import type { SampleRepository } from './support/sample-folder.ts';
import { SeededRandom } from './support/seeded-random.ts';

const HURT = 'team';

let base = '';
let hurt: SampleRepository;
let others: readonly SampleRepository[] = [];
let expected: Record<string, string> = {};

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'zot-damaged-files-'));
  const server = await serveInProcess({ root: base });
  hurt = await fillRepository(server.url, HURT);
  others = [await fillRepository(server.url, 'library/app'), await fillRepository(server.url, 'team/nested')];
  expected = await answersOf(server.url, [hurt, ...others]);
  await server.close();
});
after(async () => {
  await rm(base, { recursive: true, force: true });
});

type Damage = 'deleted' | 'empty' | 'cut off' | 'overwritten' | 'one bit flipped';
const DAMAGES: readonly Damage[] = ['deleted', 'empty', 'cut off', 'overwritten', 'one bit flipped'];

async function inflict(path: string, damage: Damage): Promise<void> {
  const { size } = await stat(path);
  if (damage === 'deleted') return rm(path);
  if (damage === 'empty') return truncate(path, 0);
  if (damage === 'cut off') return truncate(path, size - 7);
  const bytes = await readFile(path);
  if (damage === 'overwritten') bytes.fill('x');
  else bytes[size >> 1] = (bytes[size >> 1] ?? 0) ^ 1;
  return writeFile(path, bytes);
}

/** Whether the server is started after the damage, and on what. */
type Moment = 'while it is served' | 'before a start' | 'before a start, the index lost as well';
const MOMENTS: readonly Moment[] = [
  'while it is served',
  'before a start',
  'before a start, the index lost as well',
];

/** Serves a copy of the sample folder that was damaged at a moment. */
async function serveDamaged(
  moment: Moment,
  damage: (root: string) => Promise<void>,
  work: (server: InProcessServer, root: string) => Promise<void>,
): Promise<void> {
  await onCopy(base, async (root) => {
    let server: InProcessServer | null = null;
    if (moment === 'while it is served') {
      server = await serveInProcess({ root });
      await damage(root);
    } else {
      await damage(root);
      if (moment !== 'before a start') await rm(join(root, '_zot'), { recursive: true });
    }
    server ??= await serveInProcess({ root });
    try {
      await work(server, root);
    } finally {
      await server.close();
    }
  });
}

/**
 * The answers that differ from those of the undamaged folder, without those that are about the damage. The media type
 * of a blob is what manifests say, and goes with them.
 */
async function differences(server: InProcessServer, about: RegExp): Promise<Record<string, string>> {
  const found = await answersOf(server.url, [hurt, ...others]);
  const withoutType = (request: string, answer = ''): string =>
    request.includes('/blobs/') ? answer.replace(/ application\/\S+/, '') : answer;
  return Object.fromEntries(
    Object.entries(found)
      .filter(([request, answer]) => withoutType(request, answer) !== withoutType(request, expected[request]))
      .filter(([request]) => !about.test(request))
      .map(([request, answer]) => [request, answer.slice(0, 200)]),
  );
}

describe('a damaged manifest', { timeout: 120_000 }, () => {
  for (const moment of MOMENTS) {
    for (const damage of DAMAGES) {
      test(`is never served, is named, and can be pushed again: ${damage} ${moment}`, async () => {
        const { digest } = hurt.image.manifest;
        const inflicted = (root: string): Promise<void> => inflict(blobFile(root, HURT, digest), damage);
        await serveDamaged(moment, inflicted, async (server) => {
          for (const reference of ['latest', 'v1', digest]) {
            for (const method of ['GET', 'HEAD']) {
              const { status } = await server.client.send(method, `/v2/${HURT}/manifests/${reference}`);
              assert.ok([404, 500].includes(status), `${method} ${reference}: ${status}`);
            }
          }
          const log = server.log.join('');
          assert.ok(log.includes(digest) && log.includes(HURT), `not named in the log: ${log}`);
          const about = new RegExp(
            `/v2/${HURT}/(manifests/(latest|v1|${digest})|referrers/)|blobs/${digest}`,
          );
          assert.deepEqual(await differences(server, about), {});
          const pushed = await pushManifest(server.client, HURT, hurt.image.manifest, 'latest');
          assert.equal(pushed.status, 201, pushed.body.toString());
          const again = await server.client.send('GET', `/v2/${HURT}/manifests/latest`);
          assert.ok(again.body.equals(hurt.image.manifest.bytes));
          const inUse = hurt.image.blobs[0]?.digest ?? '';
          const deleted = await server.client.send('DELETE', `/v2/${HURT}/blobs/${inUse}`);
          assert.equal(deleted.status, 405, 'what the manifest needs is not known again');
        });
      });
    }
  }
});

describe('a damaged blob', { timeout: 120_000 }, () => {
  // A flipped bit shows only when the whole blob is hashed: the client does that, and "zot check --deep".
  const visible = DAMAGES.filter((damage) => damage !== 'one bit flipped' && damage !== 'overwritten');
  for (const moment of MOMENTS) {
    for (const damage of visible) {
      test(`counts as absent, is asked for, and can be pushed again: ${damage} ${moment}`, async () => {
        const blob = hurt.image.blobs[1] ?? assert.fail();
        const inflicted = (root: string): Promise<void> => inflict(blobFile(root, HURT, blob.digest), damage);
        await serveDamaged(moment, inflicted, async (server) => {
          for (const method of ['GET', 'HEAD']) {
            const answer = await server.client.send(method, `/v2/${HURT}/blobs/${blob.digest}`);
            assert.equal(answer.status, 404, method);
          }
          assert.deepEqual(await differences(server, new RegExp(`${HURT}/blobs/${blob.digest}`)), {});
          const image = imageOf([blob], 'another image with the same layer');
          for (const config of image.blobs.slice(0, 1)) await pushBlob(server.client, HURT, config);
          const refused = await pushManifest(server.client, HURT, image.manifest, 'new');
          assert.equal(refused.status, 400);
          assert.match(refused.body.toString(), new RegExp(`MANIFEST_BLOB_UNKNOWN.*${blob.digest}`));
          assert.equal((await pushBlob(server.client, HURT, blob)).status, 201);
          const again = await server.client.send('GET', `/v2/${HURT}/blobs/${blob.digest}`);
          assert.ok(again.body.equals(blob.bytes));
          assert.equal((await pushManifest(server.client, HURT, image.manifest, 'new')).status, 201);
        });
      });
    }
  }
});

describe('a damaged index.json', { timeout: 120_000 }, () => {
  for (const damage of ['empty', 'cut off', 'overwritten'] as const) {
    for (const moment of MOMENTS.slice(0, 2)) {
      test(`leaves the last good state served, and the next push mends it: ${damage} ${moment}`, async () => {
        const inflicted = (root: string): Promise<void> => inflict(join(root, HURT, 'index.json'), damage);
        await serveDamaged(moment, inflicted, async (server, root) => {
          assert.deepEqual(await differences(server, /^$/), {});
          const image = imageOf([randomContent(new SeededRandom(3), 100)], 'pushed afterwards');
          await pushImage(server.client, HURT, image, 'afterwards');
          assert.match(server.log.join(''), /index\.json cannot be used/);
          const text = await readFile(join(root, HURT, 'index.json'), 'utf8');
          for (const name of ['latest', 'v1', 'other', 'all', 'afterwards'])
            assert.match(text, new RegExp(`"${name}"`));
          const about = new RegExp(`/v2/${HURT}/tags/list`);
          assert.deepEqual(await differences(server, about), {});
        });
      });
    }

    test(`hides its repository and no other, when the index is lost as well: ${damage}`, async () => {
      const inflicted = (root: string): Promise<void> => inflict(join(root, HURT, 'index.json'), damage);
      await serveDamaged('before a start, the index lost as well', inflicted, async (server, root) => {
        const tags = await server.client.send('GET', `/v2/${HURT}/tags/list`);
        assert.ok(tags.status === 404 || tags.body.toString().includes('"tags":[]'), tags.body.toString());
        // Blobs have lost what says of which type they are, and are there.
        const about = new RegExp(`/v2/(_catalog|${HURT}/)`);
        assert.deepEqual(await differences(server, about), {});
        assert.match(server.log.join(''), new RegExp(`"${HURT}".*index\\.json cannot be used`));
        const image = imageOf([randomContent(new SeededRandom(3), 100)], 'pushed afterwards');
        for (const blob of image.blobs) await pushBlob(server.client, HURT, blob);
        const pushed = await pushManifest(server.client, HURT, image.manifest, 'afterwards');
        // What cannot be read may still be mended by hand: a push must not replace it.
        if (damage === 'empty') assert.equal(pushed.status, 201, pushed.body.toString());
        else assert.match(pushed.body.toString(), /CONTENT_CORRUPT.*zot check/);
        if (damage !== 'empty') assert.notEqual((await readFile(join(root, HURT, 'index.json'))).length, 0);
      });
    });
  }

  for (const moment of MOMENTS) {
    test(`makes its repository absent and no other, when it is deleted ${moment}`, async () => {
      const inflicted = (root: string): Promise<void> => rm(join(root, HURT, 'index.json'));
      await serveDamaged(moment, inflicted, async (server) => {
        const tags = await server.client.send('GET', `/v2/${HURT}/tags/list`);
        assert.equal(tags.status, 404, tags.body.toString());
        assert.match(tags.body.toString(), /NAME_UNKNOWN/);
        const about = new RegExp(`/v2/(_catalog|${HURT}/)`);
        assert.deepEqual(await differences(server, about), {});
        const image = imageOf([randomContent(new SeededRandom(3), 100)], 'pushed afterwards');
        await pushImage(server.client, HURT, image, 'afterwards');
      });
    });
  }

  test('is refused when it is larger than any real one', async () => {
    const inflicted = (root: string): Promise<void> =>
      truncate(join(root, HURT, 'index.json'), 300 * 1024 * 1024);
    await serveDamaged('while it is served', inflicted, async (server) => {
      assert.deepEqual(await differences(server, /^$/), {});
    });
  });

  test('with a member that stands twice is read as every JSON reader does', async () => {
    const inflicted = async (root: string): Promise<void> => {
      const path = join(root, HURT, 'index.json');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('{', '{"manifests":[],'));
    };
    await serveDamaged('before a start', inflicted, async (server) => {
      assert.deepEqual(await differences(server, /^$/), {});
    });
  });
});

describe('a damaged oci-layout', { timeout: 60_000 }, () => {
  for (const moment of MOMENTS) {
    for (const damage of DAMAGES) {
      test(`changes no answer: ${damage} ${moment}`, async () => {
        const inflicted = (root: string): Promise<void> => inflict(join(root, HURT, 'oci-layout'), damage);
        await serveDamaged(moment, inflicted, async (server, root) => {
          assert.deepEqual(await differences(server, /^$/), {});
          const image = imageOf([randomContent(new SeededRandom(3), 100)], 'pushed afterwards');
          await pushImage(server.client, HURT, image, 'afterwards');
          if (damage !== 'deleted' && damage !== 'empty') return;
          const text = await readFile(join(root, HURT, 'oci-layout'), 'utf8');
          assert.equal(text, '{"imageLayoutVersion":"1.0.0"}', 'the push did not mend it');
        });
      });
    }
  }
});
