/** `zot import zot-db`: what a zot kept of users and pulls goes on here. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { hashSync } from 'bcryptjs';
import { runZot, zotJson } from '../../support/run-zot.ts';
import { projectRoot, startServer } from '../../support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-db-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

interface Report {
  readonly apiKeys: number;
  readonly apiKeysPresent: number;
  readonly groups: number;
  readonly manifests: number;
  readonly tags: number;
  readonly favouritesLeft: number;
}

test(
  'API keys of zot sign in here, counts go on, and doing it again changes nothing',
  { timeout: 90_000 },
  async () => {
    const root = at('root');
    await mkdir(root);
    const database = path.join(projectRoot, 'test/support/zot-databases/three-users.db.gz');
    await writeFile(path.join(root, 'meta.db'), gunzipSync(readFileSync(database)));
    await writeFile(at('htpasswd'), `user0:${hashSync('secret', 4)}\nuser2:${hashSync('secret', 4)}\n`);
    const auth = { htpasswd: { path: at('htpasswd') }, apikey: true };
    const config = { storage: { rootDirectory: root }, http: { address: '127.0.0.1', port: '0', auth } };
    await writeFile(at('config.json'), JSON.stringify(config));
    // user1 is in no password file.
    const first = await runZot('import', 'zot-db', root, at('config.json'));
    assert.equal(first.exitCode, 1);
    assert.match(first.text, /not imported: user user1 with 1 API keys: \S.* see --origin\n/);
    assert.match(first.text, /not imported: 3 starred and bookmarked repositories/);
    assert.match(
      first.text,
      /imported: 2 API keys \(0 were here already\), groups of 2 users, counts of 1 manifests/,
    );
    const report = await zotJson<Report>(
      'import',
      'zot-db',
      path.join(root, 'meta.db'),
      at('config.json'),
      '--origin',
      'ldap',
    );
    assert.deepEqual([report.apiKeys, report.apiKeysPresent, report.groups], [1, 2, 1]);
    const records = new DatabaseSync(path.join(root, '_zot/records.db'), { readOnly: true });
    const rows = records.prepare('SELECT pulls, last_pull_ms, first_push_ms FROM manifest_statistics').all();
    records.close();
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [{ pulls: 42, last_pull_ms: 1_750_000_000_500, first_push_ms: 1_740_000_000_000 }],
    );
    const server = await startServer({ root, config: { http: { auth } } });
    try {
      const signIn = async (user: number, repo: string): Promise<number> => {
        const key = `zak_${String(user).padStart(32, '0')}`;
        const authorization = `Basic ${Buffer.from(`user${user}:${key}`).toString('base64')}`;
        return (await fetch(`${server.url}/v2/${repo}`, { headers: { authorization } })).status;
      };
      assert.equal(await signIn(0, ''), 200);
      assert.equal(await signIn(2, ''), 200);
      // The directory that is to vouch for user1 is not configured.
      assert.equal(await signIn(1, ''), 401);
      const busy = await runZot('import', 'zot-db', root, at('config.json'));
      assert.match(busy.errors, /^Error: [^\n]+in use[^\n]+\n$/);
    } finally {
      await server.stop();
    }
  },
);

test('what is no database of zot is refused in one line', async () => {
  const root = at('refused');
  await mkdir(root);
  await writeFile(at('text.db'), 'no database');
  for (const [source, words] of [
    [at('text.db'), /this is no BoltDB file/],
    [at('none'), /there is no /],
    [root, /there is no \S+meta\.db/],
  ] as const) {
    const { exitCode, errors } = await runZot('import', 'zot-db', source, root);
    assert.equal(exitCode, 1);
    assert.match(errors, words);
    assert.match(errors, /^Error: [^\n]+\n$/);
  }
});
