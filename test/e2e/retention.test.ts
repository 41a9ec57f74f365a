/** Retention on real servers: policies that change, pulls by digest through every process, and its preview. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { imageOf } from './support/content.ts';
import type { Image } from './support/content.ts';
import { contentsOf, tagged, writeLayout } from './support/layout.ts';
import { runZot } from '../support/run-zot.ts';

const PATIENCE_MS = 30_000;

const until = (what: string, holds: () => Promise<boolean> | boolean): Promise<number> =>
  eventually(holds, PATIENCE_MS, what);

async function push(server: RunningServer, repo: string, image: Image, tag: string): Promise<void> {
  for (const { bytes, digest } of [image.config, ...image.layers]) {
    const headers = { 'content-type': 'application/octet-stream' };
    const target = `${server.url}/v2/${repo}/blobs/uploads/?digest=${digest}`;
    const answer = await fetch(target, { method: 'POST', headers, body: Buffer.from(bytes) });
    assert.equal(answer.status, 201, await answer.text());
  }
  const { bytes, mediaType } = image.manifest;
  const put = { method: 'PUT', headers: { 'content-type': mediaType }, body: Buffer.from(bytes) };
  const answer = await fetch(`${server.url}/v2/${repo}/manifests/${tag}`, put);
  assert.equal(answer.status, 201, await answer.text());
}

async function tagsOf(server: RunningServer, repo: string): Promise<readonly string[]> {
  const answer = await fetch(`${server.url}/v2/${repo}/tags/list`);
  return ((await answer.json()) as { tags: string[] }).tags;
}

interface Previewed {
  readonly repositories: readonly {
    readonly repository: string;
    readonly policy: number | null;
    readonly count: number;
    readonly gone: number;
    readonly tags: readonly {
      readonly tag: string;
      readonly decision: string;
      readonly reason: string | null;
      readonly keptBy: readonly string[];
      readonly pulls: number;
    }[];
    readonly untagged: readonly {
      readonly digest: string;
      readonly mediaType: string;
      readonly decision: string;
      readonly reason: string;
      readonly keptBy: readonly string[];
      readonly pushed: string | null;
      readonly notBefore: string | null;
    }[];
  }[];
  readonly stores: readonly {
    readonly store: string;
    readonly tags: number;
    readonly gone: number;
    readonly untagged: number;
    readonly untaggedGone: number;
    readonly remarks: readonly {
      readonly policy: number;
      readonly entry: number | null;
      readonly message: string;
    }[];
  }[];
  readonly warnings: readonly string[];
}

async function preview(config: string, ...flags: string[]): Promise<Previewed> {
  const { exitCode, text, errors } = await runZot('retention', 'preview', config, '--json', ...flags);
  assert.equal(exitCode, 0, errors);
  return JSON.parse(text) as Previewed;
}

const images = ['v1', 'v2', 'v3', 'main'].map((seed) => [seed, imageOf(seed)] as const);

async function pushAll(server: RunningServer, repo: string): Promise<void> {
  for (const [tag, image] of images) await push(server, repo, image, tag);
}

const policy = (keepTags: readonly unknown[], more: Record<string, unknown> = {}): unknown => ({
  policies: [{ repositories: ['team/**'], keepTags, ...more }],
});

for (const workers of [1, 2]) {
  test(
    `a policy that is put in force while serving removes tags, with ${workers} serving`,
    { timeout: 120_000 },
    async () => {
      const gc = { gcDelay: '1h', gcInterval: '1h' };
      const server = await startServer({ config: { http: { workers }, storage: gc } });
      try {
        await pushAll(server, 'team/app');
        await pushAll(server, 'other/app');
        const [, { manifest }] = images[0] as (typeof images)[number];
        const pulled = await fetch(`${server.url}/v2/team/app/manifests/${manifest.digest}`);
        assert.equal(pulled.status, 200);
        const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { storage: object };
        const keepTags = [{ patterns: ['^v'], mostRecentlyPulledCount: 1 }, { patterns: ['^main$'] }];
        const next = `${server.configFile}.next.json`;
        await writeFile(
          next,
          JSON.stringify({ ...config, storage: { ...config.storage, retention: policy(keepTags) } }),
        );
        // The preview of what is not in force yet tells when the pull is counted, whoever answered it.
        const isCounted = async (): Promise<boolean> => {
          const { repositories } = await preview(next, '--all');
          return repositories.flatMap(({ tags }) => tags).find(({ tag }) => tag === 'v1')?.pulls === 1;
        };
        await until('the pull is counted', isCounted);
        const expected = await preview(next);
        assert.deepEqual(
          expected.repositories.map(({ repository, count, gone, tags }) => [
            repository,
            count,
            gone,
            tags.map(({ tag }) => tag),
          ]),
          [['team/app', 4, 2, ['v2', 'v3']]],
        );
        assert.deepEqual(await tagsOf(server, 'team/app'), ['main', 'v1', 'v2', 'v3']);
        await rename(next, server.configFile);
        await until('v2 and v3 are gone', async () => (await tagsOf(server, 'team/app')).length === 2);
        assert.deepEqual(await tagsOf(server, 'team/app'), ['main', 'v1']);
        assert.deepEqual(await tagsOf(server, 'other/app'), ['main', 'v1', 'v2', 'v3']);
        const [, gone] = images[1] as (typeof images)[number];
        const byDigest = await fetch(`${server.url}/v2/team/app/manifests/${gone.manifest.digest}`);
        assert.equal(byDigest.status, 200, 'without a tag it waits for the delay');
        const line =
          /"module":"retention","dry-run":false,"repository":"team\/app".*"tag":"v2".*"applied policy"/;
        await until('the log tells of v2', () => line.test(server.stdout()));
        assert.ok(!server.stdout().includes('this build lacks'));
      } finally {
        await server.stop();
      }
    },
  );
}

test('dry runs change nothing, in sub paths by their own policies', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-retention-'));
  const subPath = { rootDirectory: folder, gc: true, retention: policy([{ patterns: ['^main$'] }]) };
  const storage = {
    retention: {
      dryRun: true,
      policies: [{ repositories: ['**'], keepTags: [{ patterns: ['^v1$'] }] }],
    },
    subPaths: { '/team': subPath },
  };
  const server = await startServer({ config: { storage } });
  try {
    await pushAll(server, 'team/app');
    await pushAll(server, 'other/app');
    const { exitCode, text } = await runZot('gc', server.configFile);
    assert.equal(exitCode, 0);
    assert.match(text, /^default: removed 3 tags/m);
    assert.match(text, /^\/team: removed 3 tags/m);
    assert.deepEqual(await tagsOf(server, 'team/app'), ['main']);
    assert.deepEqual(await tagsOf(server, 'other/app'), ['main', 'v1', 'v2', 'v3']);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

describe('the preview', { timeout: 120_000 }, () => {
  let server: RunningServer;
  before(async () => {
    server = await startServer();
    await pushAll(server, 'team/app');
    await pushAll(server, 'infra/tool');
  });
  after(() => server.stop());

  async function configOf(retention: unknown, more: Record<string, unknown> = {}): Promise<string> {
    const file = path.join(path.dirname(server.configFile), 'preview.json');
    const storage = { rootDirectory: server.root, retention, ...more };
    await writeFile(file, JSON.stringify({ storage, http: { address: '127.0.0.1', port: '0' } }));
    return file;
  }

  test('prints what goes, and with --all what stays, for people', async () => {
    const config = await configOf(
      policy([{ patterns: ['^v'], mostRecentlyPushedCount: 2, pushedWithin: '1ms' }]),
    );
    const short = await runZot('retention', 'preview', config);
    assert.equal(short.exitCode, 0, short.errors);
    const lines = short.text.split('\n');
    assert.equal(lines[0], 'team/app: 2 of 4 tags go (policies[0])');
    assert.match(
      short.text,
      /^ {2}goes {2}v1 {2}pushed 20\S+Z, never pulled; didn't meet any tag retention rule$/m,
    );
    assert.match(short.text, /^ {2}goes {2}main .*; didn't meet any tag 'patterns' rules$/m);
    assert.doesNotMatch(short.text, /stays/);
    assert.match(
      short.text,
      /^default: 2 of 4 tags would go, in 1 of 2 repositories that a policy is about$/m,
    );
    const { text } = await runZot('retention', 'preview', config, '--all');
    assert.match(text, /^ {2}stays v3 .*; keepTags\[0\]: mostRecentlyPushedCount 2$/m);
    assert.match(text, /^infra\/tool: no policy, all tags stay$/m);
    assert.deepEqual(await tagsOf(server, 'team/app'), ['main', 'v1', 'v2', 'v3']);
  });

  test('names policies, entries and patterns that decide nothing', async () => {
    const config = await configOf({
      policies: [
        { repositories: ['team/**'], keepTags: [{ patterns: ['^v', '^x'] }, { patterns: ['^v1'] }, {}] },
        { repositories: ['team/app'], keepTags: [{}] },
        { repositories: ['nowhere/**'], keepTags: [{}] },
      ],
    });
    const { stores, repositories } = await preview(config);
    assert.deepEqual(repositories, []);
    assert.deepEqual(stores[0]?.remarks, [
      { policy: 0, entry: 0, message: 'the pattern ^x matches no tag' },
      { policy: 0, entry: 1, message: 'earlier entries take all tags that it matches' },
      { policy: 1, entry: null, message: 'earlier policies take all repositories that it matches' },
      { policy: 2, entry: null, message: 'it matches no repository' },
    ]);
    const { text } = await runZot('retention', 'preview', config);
    assert.match(text, /^warning: policies\[0\]\.keepTags\[0\]: the pattern \^x matches no tag$/m);
  });

  test('says where retention would not run', async () => {
    const other = path.join(path.dirname(server.configFile), 'other');
    const subPaths = { '/infra': { rootDirectory: other, gc: true } };
    const config = await configOf(policy([{}]), { gc: false, subPaths });
    const { warnings } = await preview(config);
    assert.match(warnings.join('\n'), /^gc is off for the default store/m);
    assert.match(warnings.join('\n'), /^the sub path \/infra is not in force/m);
  });

  test("logs every decision in zot's words for verify-feature, and ends", async () => {
    const config = await configOf(policy([{ patterns: ['^v'], mostRecentlyPushedCount: 2 }]));
    const { exitCode, text, errors } = await runZot('verify-feature', 'retention', config, '-t', '1m');
    assert.equal(exitCode, 0, errors);
    const lines = text.split('\n').filter((line) => line !== '');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const decided = entries.filter(({ message }) => message === 'applied policy');
    assert.deepEqual(
      decided.map(({ tag, decision, reason }) => [tag, decision, reason]),
      [
        ['v1', 'delete', "didn't meet any tag retention rule"],
        ['v2', 'keep', 'retained by mostRecentlyPushedCount:2 policy'],
        ['v3', 'keep', 'retained by mostRecentlyPushedCount:2 policy'],
        ['main', 'delete', "didn't meet any tag 'patterns' rules"],
      ],
    );
    assert.ok(decided.every((entry) => entry['dry-run'] === true && entry['module'] === 'retention'));
    assert.equal(entries.at(-1)?.['message'], 'retention check completed successfully');
    assert.deepEqual(await tagsOf(server, 'team/app'), ['main', 'v1', 'v2', 'v3']);
    const off = await runZot('verify-feature', 'retention', await configOf(policy([{}]), { gc: false }));
    assert.equal(off.exitCode, 1);
    assert.match(off.errors, /verify-feature retention requires GC to be enabled/);
  });

  test('refuses a wrong configuration and wrong words in a line', async () => {
    const wrong = await runZot('retention', 'preview', await configOf(policy([{ patterns: ['('] }])));
    assert.equal(wrong.exitCode, 1);
    assert.match(wrong.errors, /retention tag regex could not be compiled/);
    const words = await runZot('retention', 'show', server.configFile);
    assert.notEqual(words.exitCode, 0);
    assert.match(words.errors, /zot retention preview/);
  });
});

describe('the preview of manifests without a tag', { timeout: 120_000 }, () => {
  const [one, two, tagged] = images.map(([, image]) => image) as [Image, Image, Image];
  const [older, newer] = [one.manifest.digest, two.manifest.digest];
  const deleteUntagged = "didn't meet any untagged retention rule";
  let server: RunningServer;
  let config: string;
  before(async () => {
    const policies = [
      { repositories: ['team/**'], keepUntagged: { mostRecentlyPushedCount: 1 }, keepTags: [{}] },
      { repositories: ['off/**'], deleteUntagged: false, keepTags: [{}] },
    ];
    const retention = { delay: '2h', policies };
    server = await startServer({ config: { http: { workers: 2 }, storage: { gcInterval: '1h' } } });
    for (const repo of ['free/app', 'off/app', 'team/app']) {
      await push(server, repo, one, older);
      await push(server, repo, two, newer);
      await push(server, repo, tagged, 'v1');
    }
    // What an index lists has no tag either, and stays.
    const { mediaType, digest, bytes } = tagged.manifest;
    const list = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [{ mediaType, digest, size: bytes.length }],
    };
    const headers = { 'content-type': list.mediaType };
    const put = { method: 'PUT', headers, body: JSON.stringify(list) };
    await push(server, 'listed/app', tagged, digest);
    assert.equal((await fetch(`${server.url}/v2/listed/app/manifests/v1`, put)).status, 201);
    config = `${server.configFile}.next.json`;
    const storage = { rootDirectory: server.root, retention };
    await writeFile(config, JSON.stringify({ storage, http: { address: '127.0.0.1', port: '0' } }));
  });
  after(() => server.stop());

  test('tells what goes and when, with the rule and the reason', async () => {
    const { repositories, stores } = await preview(config);
    assert.deepEqual(
      repositories.map(({ repository, tags, untagged }) => [
        repository,
        tags.length,
        untagged.map(({ digest, reason }) => [digest, reason]),
      ]),
      [
        [
          'free/app',
          0,
          [
            [older, 'deleteUntagged'],
            [newer, 'deleteUntagged'],
          ],
        ],
        ['team/app', 0, [[older, deleteUntagged]]],
      ],
    );
    const [seen] = repositories[1]?.untagged ?? [];
    assert.equal(seen?.mediaType, one.manifest.mediaType);
    const waitMs = Date.parse(seen?.notBefore ?? '') - Date.parse(seen?.pushed ?? '');
    assert.ok(Math.abs(waitMs - 2 * 3_600_000) < 30_000, `${waitMs}`);
    assert.deepEqual([stores[0]?.untagged, stores[0]?.untaggedGone], [6, 3]);
  });

  test('tells with --all what stays, for programs and for people', async () => {
    const { repositories } = await preview(config, '--all');
    const told = repositories.map(({ repository, tags, untagged }) => [
      repository,
      tags.length,
      ...untagged.map(({ decision, reason, keptBy }) => `${decision}: ${keptBy[0] ?? reason}`),
    ]);
    assert.deepEqual(told, [
      ['free/app', 0, 'delete: deleteUntagged', 'delete: deleteUntagged'],
      ['listed/app', 0],
      ['off/app', 1, 'keep: deleteUntagged is off', 'keep: deleteUntagged is off'],
      ['team/app', 1, `delete: ${deleteUntagged}`, 'keep: mostRecentlyPushedCount 1'],
    ]);
    const { text } = await runZot('retention', 'preview', config, '--all');
    const lines = text.split('\n');
    const gone = lines.findIndex((line) => line.startsWith(`  goes  ${older}  untagged, pushed 20`));
    assert.match(lines[gone] ?? '', /Z, never pulled; deleteUntagged, not before 20\S+Z$/);
    assert.match(text, /^ {2}stays \S+ {2}untagged, .*; keepUntagged: mostRecentlyPushedCount 1$/m);
    assert.match(text, /^ {2}stays \S+ {2}untagged, .*; deleteUntagged is off$/m);
    assert.match(text, /^default: 3 of 6 untagged manifests would go$/m);
  });

  test('is what verify-feature logs where rules decide, and changes nothing', async () => {
    const { exitCode, text, errors } = await runZot('verify-feature', 'retention', config);
    assert.equal(exitCode, 0, errors);
    const entries = text.split('\n').filter((line) => line.includes('applied untagged policy'));
    assert.deepEqual(
      entries.map((line) => {
        const { repository, reference, decision } = JSON.parse(line) as Record<string, unknown>;
        return [repository, reference, decision];
      }),
      [
        ['team/app', older, 'delete'],
        ['team/app', newer, 'keep'],
      ],
    );
    for (const repo of ['free/app', 'team/app'])
      assert.equal((await fetch(`${server.url}/v2/${repo}/manifests/${older}`)).status, 200);
  });
});

test(
  'the preview of a folder that nobody serves reads it, with images of other tools',
  { timeout: 60_000 },
  async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'zot-retention-'));
    try {
      const index = {
        schemaVersion: 2,
        manifests: images.map(([tag, { manifest }]) => tagged(manifest, tag)),
      };
      await writeLayout(
        path.join(root, 'team/app'),
        index,
        images.flatMap(([, image]) => contentsOf(image)),
      );
      const config = path.join(root, 'config.json');
      const retention = policy([{ patterns: ['^v'], pulledWithin: '1h' }]);
      await writeFile(
        config,
        JSON.stringify({ storage: { rootDirectory: root, retention }, http: { port: '0' } }),
      );
      const { repositories, stores } = await preview(config, '--all');
      const [found] = repositories;
      assert.deepEqual(
        found?.tags.map(({ tag, decision, keptBy }) => [tag, decision, ...keptBy]),
        [
          ['v1', 'keep', 'pulledWithin 1h'],
          ['v2', 'keep', 'pulledWithin 1h'],
          ['v3', 'keep', 'pulledWithin 1h'],
          ['main', 'delete'],
        ],
      );
      assert.deepEqual([stores[0]?.tags, stores[0]?.gone], [4, 1]);
    } finally {
      await rm(root, { recursive: true });
    }
  },
);
