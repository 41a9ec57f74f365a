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
import { imageOf } from '../support/content.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-db-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

interface Report {
  readonly apiKeys: number;
  readonly apiKeysPresent: number;
  readonly groups: number;
  readonly manifests: number;
  readonly tags: number;
  readonly stars: number;
  readonly bookmarks: number;
}

test(
  'API keys of zot sign in here, counts go on, and doing it again changes nothing',
  { timeout: 90_000 },
  async () => {
    const root = at('root');
    await mkdir(root);
    const database = path.join(projectRoot, 'test/support/zot-databases/three-users.db.gz');
    await writeFile(path.join(root, 'meta.db'), withBookmark(gunzipSync(readFileSync(database))));
    await writeFile(at('htpasswd'), `user0:${hashSync('secret', 4)}\nuser2:${hashSync('secret', 4)}\n`);
    const auth = { htpasswd: { path: at('htpasswd') }, apikey: true };
    const config = { storage: { rootDirectory: root }, http: { address: '127.0.0.1', port: '0', auth } };
    await writeFile(at('config.json'), JSON.stringify(config));
    // user1 is in no password file.
    const first = await runZot('import', 'zot-db', root, at('config.json'));
    assert.equal(first.exitCode, 1);
    assert.match(
      first.text,
      /not imported: user user1 with 1 API keys and 1 favourites: \S.* see --origin\n/,
    );
    assert.match(
      first.text,
      /imported: 2 API keys \(0 were here already\), groups of 2 users, 1 stars, 1 bookmarks, counts of 1 manifests/,
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
    assert.deepEqual([report.stars, report.bookmarks], [1, 0]);
    const records = new DatabaseSync(path.join(root, '_zot/records.db'), { readOnly: true });
    const rows = records
      .prepare('SELECT pulls, last_pull_ms, first_push_ms, pushed_by FROM manifest_statistics')
      .all();
    const favourites = records.prepare('SELECT * FROM favourites ORDER BY username').all();
    records.close();
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        {
          pulls: 42,
          last_pull_ms: 1_750_000_000_500,
          first_push_ms: 1_740_000_000_000,
          pushed_by: 'user0',
        },
      ],
    );
    assert.deepEqual(
      favourites.map(({ origin, username, kind, repo }) => [origin, username, kind, repo]),
      [
        ['htpasswd', 'user0', 'star', 'team/app'],
        ['ldap', 'user1', 'star', 'team/app'],
        ['htpasswd', 'user2', 'bookmark', 'team/app'],
      ],
    );
    const server = await startServer({ root, config: { http: { auth, workers: 2 } } });
    try {
      const signIn = async (user: number, repo: string): Promise<number> =>
        (await fetch(`${server.url}/v2/${repo}`, { headers: headersOf(user) })).status;
      assert.equal(await signIn(0, ''), 200);
      assert.equal(await signIn(2, ''), 200);
      // The directory that is to vouch for user1 is not configured.
      assert.equal(await signIn(1, ''), 401);
      const busy = await runZot('import', 'zot-db', root, at('config.json'));
      assert.match(busy.errors, /^Error: [^\n]+in use[^\n]+\n$/);
      const { digest } = await pushAs(server.url, 0);
      await server.stop();
      assert.equal(pusherOf(root, digest), 'user0');
    } finally {
      await server.stop();
    }
  },
);

function headersOf(user: number): Record<string, string> {
  const key = `zak_${String(user).padStart(32, '0')}`;
  return { authorization: `Basic ${Buffer.from(`user${user}:${key}`).toString('base64')}` };
}

async function pushAs(url: string, user: number): Promise<{ digest: string }> {
  const image = imageOf('pushed');
  const put = async (method: string, target: string, type: string, bytes: Uint8Array): Promise<void> => {
    const headers = { ...headersOf(user), 'content-type': type };
    const answer = await fetch(`${url}/v2/pushed/${target}`, { method, headers, body: Buffer.from(bytes) });
    assert.equal(answer.status, 201, await answer.text());
  };
  for (const { digest, bytes } of [image.config, ...image.layers])
    await put('POST', `blobs/uploads/?digest=${digest}`, 'application/octet-stream', bytes);
  await put('PUT', 'manifests/v1', image.manifest.mediaType, image.manifest.bytes);
  return { digest: image.manifest.digest };
}

/** As the records tell after the server stopped. */
function pusherOf(root: string, digest: string): unknown {
  const records = new DatabaseSync(path.join(root, '_zot/records.db'), { readOnly: true });
  const row = records.prepare('SELECT pushed_by FROM manifest_statistics WHERE digest = ?').get(digest);
  records.close();
  return row?.pushed_by;
}

/** The last user bookmarked what the others starred; as long as it was, so that the pages stay what they are. */
function withBookmark(database: Buffer): Buffer {
  const starred = '"StarredRepos":["team/app"],"BookmarkedRepos":null';
  const at = database.lastIndexOf(starred);
  assert.ok(at > 0);
  database.write('"StarredRepos":null,"BookmarkedRepos":["team/app"]', at);
  return database;
}

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
