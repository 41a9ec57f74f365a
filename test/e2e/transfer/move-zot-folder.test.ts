/** The steps of docs/moving.md, "A folder of zot, in place", both directions, one after the other. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { runZot } from '../../support/run-zot.ts';
import { projectRoot, startServer } from '../../support/server.ts';
import { seenByZot } from '../../support/zot-folder/zot-hand.ts';
import { OWN_FILES, fillAsZot, shapes } from '../../support/zot-folder/zot-shapes.ts';
import { sendRequest } from '../support/client.ts';
import { imageOf, pushImage } from '../support/content.ts';
import type { Served } from '../support/served.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-move-'));
after(() => rmSync(folder, { recursive: true }));
const root = path.join(folder, 'data');
const subRoot = path.join(folder, 'infra');
const REPOS = ['team/web', 'team/web/nested'];

const ownFiles = (): Promise<Buffer[]> =>
  Promise.all(OWN_FILES.map((name) => readFile(path.join(root, name))));

test('a folder of zot is taken over, served, and given back', { timeout: 120_000 }, async () => {
  await fillAsZot(root, subRoot);
  const database = path.join(projectRoot, 'test/support/zot-databases/three-users.db.gz');
  await writeFile(path.join(root, 'meta.db'), gunzipSync(readFileSync(database)));
  const config = {
    storage: { rootDirectory: root, subPaths: { '/infra': { rootDirectory: subRoot } }, gc: false },
    http: { address: '127.0.0.1', port: '0' },
  };
  const file = path.join(folder, 'config.json');
  await writeFile(file, JSON.stringify(config));
  const before = await ownFiles();
  const seen = await Promise.all(REPOS.map((repo) => seenByZot(root, repo)));

  // From zot to here.
  assert.equal((await runZot('verify', '--strict', file)).exitCode, 0);
  assert.match((await runZot('check', root)).text, /damage: team\/stale \S+: manifest-missing/);
  const taken = await runZot('import', 'zot-db', root, file, '--origin', 'ldap');
  assert.match(taken.text, /imported: 3 API keys/);
  const { storage } = config;
  const server = await startServer({ root, config: { storage } });
  try {
    for (const [repo, digest] of [
      ['team/web', shapes.multi.digest],
      ['infra/tool', shapes.web.manifest.digest],
    ] as const) {
      const answer = await fetch(`${server.url}/v2/${repo}/manifests/${digest}`);
      assert.equal(answer.status, 200);
    }
    const served = {
      request: (method: string, target: string, call = {}) =>
        sendRequest(server.port, { ...call, method, target }),
    };
    // Only `request` is asked of it here.
    await pushImage(served as Served, 'team/web', imageOf('pushed here'), 'new');
  } finally {
    await server.stop();
  }

  // From here to zot.
  for (const one of [root, subRoot]) await rm(path.join(one, '_zot'), { recursive: true, force: true });
  assert.deepEqual(await ownFiles(), before);
  const back = await Promise.all(REPOS.map((repo) => seenByZot(root, repo)));
  assert.deepEqual(
    back.flatMap(({ faults }) => faults),
    [],
  );
  assert.deepEqual(back[0]?.tags, { ...seen[0]?.tags, new: imageOf('pushed here').manifest.digest });
  assert.deepEqual(back[1], seen[1]);
  const known = new Set([
    ...OWN_FILES.map((name) => name.split('/')[0] ?? ''),
    'team',
    'odd',
    'begun',
    'lost+found',
    'dangling',
  ]);
  assert.deepEqual(
    (await readdir(root)).filter((name) => !known.has(name)),
    [],
  );
});
