/** Whole repositories, renamed and removed through a running server, with one serving process and with two. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runZot } from '../support/run-zot.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { errorOf, jsonOf, sendRequest, statusAndCode, type Answer, type Call } from './support/client.ts';
import { contentOf, imageOf, OCI_INDEX, OCI_LAYER, type Image } from './support/content.ts';

const REPOSITORY = '/v2/_zot/ext/repository';

for (const workers of [1, 2]) {
  describe(`whole repositories, with ${workers} serving`, { timeout: 180_000 }, () => {
    let server: RunningServer;
    let far = '';
    before(async () => {
      far = await mkdtemp(path.join(tmpdir(), 'zot-far-'));
      const storage = {
        subPaths: { '/far': { rootDirectory: far } },
        quotas: [
          { prefix: 'small', maxBytes: 100 },
          { prefix: 'team', maxBytes: '1Gi' },
        ],
      };
      server = await startServer({ config: { http: { workers }, storage } });
    });
    after(async () => {
      await server.stop();
      await rm(far, { recursive: true, force: true });
    });

    const send = (method: string, target: string, call: Partial<Call> = {}): Promise<Answer> =>
      sendRequest(server.port, { ...call, method, target });

    async function push(repo: string, image: Image, tag = 'latest'): Promise<void> {
      for (const { digest, bytes } of [image.config, ...image.layers]) {
        const target = `/v2/${repo}/blobs/uploads/?digest=${digest}`;
        assert.equal((await send('POST', target, { body: bytes })).status, 201);
      }
      const { manifest } = image;
      const headers = { 'content-type': manifest.mediaType };
      const target = `/v2/${repo}/manifests/${tag}`;
      assert.equal((await send('PUT', target, { headers, body: manifest.bytes })).status, 201);
    }

    const rename = (from: string, to: string): Promise<Answer> =>
      send('POST', `${REPOSITORY}/rename?name=${from}&to=${to}`);

    async function requireWhole(repo: string, image: Image, tag = 'latest'): Promise<void> {
      const pulled = await send('GET', `/v2/${repo}/manifests/${tag}`);
      assert.equal(pulled.status, 200, pulled.text);
      assert.ok(pulled.body.equals(image.manifest.bytes));
      for (const { digest, bytes } of [image.config, ...image.layers])
        assert.ok((await send('GET', `/v2/${repo}/blobs/${digest}`)).body.equals(bytes));
    }

    it('are renamed with all tags, and the old name is free', async () => {
      const image = imageOf('renamed');
      await push('old/app', image);
      await push('old/app', image, 'v1');
      await push('old/app/below', imageOf('below'));
      const answer = await rename('old/app', 'new/app');
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(jsonOf(answer), { repository: 'old/app', target: 'new/app', blobs: 3, uploads: 0 });
      await requireWhole('new/app', image);
      await requireWhole('new/app', image, 'v1');
      await requireWhole('old/app/below', imageOf('below'));
      for (const target of ['manifests/latest', 'tags/list'])
        assert.equal(statusAndCode(await send('GET', `/v2/old/app/${target}`)), '404 NAME_UNKNOWN');
      const catalog = jsonOf(await send('GET', '/v2/_catalog')) as { repositories: string[] };
      assert.deepEqual(
        catalog.repositories.filter((name) => name.includes('app')),
        ['new/app', 'old/app/below'],
      );
      const other = imageOf('the old name again');
      await push('old/app', other);
      await requireWhole('old/app', other);
      const tags = jsonOf(await send('GET', '/v2/old/app/tags/list'));
      assert.deepEqual(tags, { name: 'old/app', tags: ['latest'] });
      await push('new/app', other, 'v2');
      await requireWhole('new/app', image);
    });

    it('are renamed into what was below them, and back', async () => {
      const image = imageOf('nested');
      await push('nest', image);
      assert.equal((await rename('nest', 'nest/inner/most')).status, 200);
      await requireWhole('nest/inner/most', image);
      assert.equal((await rename('nest/inner/most', 'nest')).status, 200);
      await requireWhole('nest', image);
    });

    it('refuse what cannot be', async () => {
      await push('one/app', imageOf('one'));
      await push('two/app', imageOf('two'));
      assert.equal(statusAndCode(await rename('none/app', 'three/app')), '404 NAME_UNKNOWN');
      assert.equal(statusAndCode(await rename('one/app', 'two/app')), '409 DENIED');
      assert.equal(statusAndCode(await rename('one/app', 'one/app')), '409 DENIED');
      assert.equal(statusAndCode(await rename('one/app', 'NO/name')), '400 NAME_INVALID');
      assert.equal(statusAndCode(await send('DELETE', REPOSITORY)), '400 REQUEST_INVALID');
      const far = await rename('one/app', 'far/app');
      assert.equal(statusAndCode(far), '400 DENIED');
      assert.match(errorOf(far).message, /lie in different stores/);
      const full = await rename('one/app', 'small/app');
      assert.equal(statusAndCode(full), '403 DENIED');
      assert.match(errorOf(full).message, /^the quota of "small" is 100 B/);
      await requireWhole('one/app', imageOf('one'));
      await requireWhole('two/app', imageOf('two'));
    });

    it('end the uploads under way', async () => {
      await push('busy/app', imageOf('busy'));
      const begun = await send('POST', '/v2/busy/app/blobs/uploads/');
      const upload = begun.headers.location ?? '';
      assert.equal((await send('PATCH', upload, { body: 'some bytes' })).status, 202);
      assert.deepEqual((jsonOf(await rename('busy/app', 'calm/app')) as { uploads: number }).uploads, 1);
      assert.equal(statusAndCode(await send('GET', upload)), '404 BLOB_UPLOAD_UNKNOWN');
      const { digest } = contentOf('some bytes', OCI_LAYER);
      assert.equal(statusAndCode(await send('PUT', `${upload}?digest=${digest}`)), '404 BLOB_UPLOAD_UNKNOWN');
    });

    it('are removed with their bytes, their quota and their folder; equal blobs elsewhere stay', async () => {
      const image = imageOf('removed');
      const usedBefore = await usedOf('team');
      await push('team/app', image);
      await push('elsewhere/app', image);
      assert.ok((await usedOf('team')) > usedBefore);
      const answer = await send('DELETE', `${REPOSITORY}?name=team/app`);
      assert.deepEqual(jsonOf(answer), { repository: 'team/app', blobs: 3, uploads: 0 });
      assert.equal(await usedOf('team'), usedBefore);
      assert.equal(statusAndCode(await send('GET', '/v2/team/app/tags/list')), '404 NAME_UNKNOWN');
      for (const { digest } of image.layers)
        assert.equal((await send('HEAD', `/v2/team/app/blobs/${digest}`)).status, 404);
      await assert.rejects(stat(path.join(server.root, 'team/app')), { code: 'ENOENT' });
      await requireWhole('elsewhere/app', image);
      assert.equal(statusAndCode(await send('DELETE', `${REPOSITORY}?name=team/app`)), '404 NAME_UNKNOWN');
    });

    async function usedOf(prefix: string): Promise<number> {
      const { quotas } = jsonOf(await send('GET', '/v2/_zot/ext/quotas')) as {
        quotas: { prefix: string; usedBytes: number }[];
      };
      return quotas.find((quota) => quota.prefix === prefix)?.usedBytes ?? -1;
    }

    it('are seen under one name or the other while they are renamed to and fro', async () => {
      const image = imageOf('moving', { annotations: { padding: 'p'.repeat(2000) } });
      await push('here/app', image);
      let isDone = false;
      const seen = new Set<string>();
      const look = async (): Promise<void> => {
        while (!isDone) {
          const names = ['here/app', 'there/app'];
          const answers = await Promise.all(names.map((name) => send('GET', `/v2/${name}/manifests/latest`)));
          for (const [at, answer] of answers.entries()) {
            if (answer.status !== 200) {
              assert.match(statusAndCode(answer), /^404 (NAME|MANIFEST)_UNKNOWN$/);
              continue;
            }
            seen.add(names[at] ?? '');
            // What the manifest names is there, whatever became of the name meanwhile.
            for (const { digest } of [image.config, ...image.layers])
              assert.equal((await send('HEAD', `/v2/${names[at]}/blobs/${digest}`)).status, 200);
          }
        }
      };
      const looking = Promise.all([look(), look()]);
      for (let round = 0; round < 10; round += 1) {
        assert.equal((await rename('here/app', 'there/app')).status, 200);
        assert.equal((await rename('there/app', 'here/app')).status, 200);
      }
      isDone = true;
      await looking;
      assert.ok(seen.size > 0);
      await requireWhole('here/app', image);
    });

    it('are renamed and removed by command, after a question or with --yes', async () => {
      const image = imageOf('commanded');
      await push('cli/app', image);
      const run = async (...words: string[]): Promise<[number, string, string]> => {
        const { exitCode, text, errors } = await runZot('repo', ...words);
        return [exitCode, text, errors];
      };
      const { configFile } = server;
      assert.deepEqual(await run('rename', configFile, 'cli/app', 'cli/web', '--yes'), [
        0,
        'cli/app: renamed to cli/web, with 3 blobs and manifests\n',
        '',
      ]);
      await requireWhole('cli/web', image);
      const [code, , problem] = await run('rename', configFile, 'cli/app', 'cli/web', '--yes');
      assert.deepEqual([code, problem], [1, 'Error: there is no repository cli/app\n']);
      const [deleted, text] = await run('delete', configFile, 'cli/web', '--yes', '--json');
      assert.equal(deleted, 0);
      assert.deepEqual(JSON.parse(text), { repository: 'cli/web', blobs: 3, uploads: 0 });
      const left = await readdir(path.join(server.root, 'cli'));
      assert.ok(!left.includes('web'), left.join(' '));
    });

    it('are found by discovery', async () => {
      assert.match(
        (await send('GET', '/v2/_oci/ext/discover')).text,
        /"\/v2\/_zot\/ext\/repository\/rename"/,
      );
    });
  });
}

it(
  'commands change nothing where the registry is read only, and are audited',
  { timeout: 60_000 },
  async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'zot-frozen-'));
    const audit = path.join(root, 'audit.log');
    const command = async (...words: string[]): Promise<string> => {
      const { exitCode, errors } = await runZot('repo', ...words, '--yes');
      return `${exitCode} ${errors}`.trim();
    };
    try {
      const frozen = await startServer({ root, config: { storage: { readOnly: true }, log: { audit } } });
      for (const words of [
        ['delete', frozen.configFile, 'app'],
        ['rename', frozen.configFile, 'app', 'web'],
      ])
        assert.match(await command(...words), /^1 Error: nothing is changed: storage.readOnly is set$/);
      await frozen.stop();
      const server = await startServer({ root, config: { log: { audit } } });
      const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }));
      const call = {
        method: 'PUT',
        target: '/v2/app/manifests/v1',
        headers: { 'content-type': OCI_INDEX },
        body,
      };
      assert.equal((await sendRequest(server.port, call)).status, 201);
      assert.equal(await command('rename', server.configFile, 'app', 'web'), '0');
      assert.equal(await command('delete', server.configFile, 'web'), '0');
      await server.stop();
      const lines = (await readFile(audit, 'utf8')).trim().split('\n');
      const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual(
        events.filter(({ message }) => message === 'access').map(({ action, object }) => [action, object]),
        [
          ['repository rename', 'app to web'],
          ['repository delete', 'web'],
        ],
      );
      assert.ok(events.every(({ subject }) => subject !== ''));
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
);
