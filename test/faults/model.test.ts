/**
 * R14: random operations on the whole server and on a model of a registry in memory, with restarts and lost indexes
 * in between: every answer must be the same. A difference is reduced to the fewest operations that show it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LocalDriver } from '#storage';
import type { StorageDriver } from '#storage';
import { MemoryDriver } from '../../src/storage/drivers/memory.ts';
import { contentOf, descriptorOf, imageOf, indexOf } from './support/images.ts';
import type { Content, Image } from './support/images.ts';
import { serveInProcess } from './support/in-process-server.ts';
import type { InProcessServer } from './support/in-process-server.ts';
import { BLOB_WAYS, pushBlob, pushManifest } from './support/pushing.ts';
import type { Answer } from './support/registry-client.ts';
import { RegistryModel } from './support/registry-model.ts';
import type { ModelAnswer, ModelManifest } from './support/registry-model.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const RUNS = roundsOr(25);
const OPERATIONS_MIN = 15;
const OPERATIONS_MAX = 60;
const REPOS = ['app', 'app/nested', 'team/one'];
const TAGS = ['latest', 'v1', 'v2'];

const layers = ['one', 'two', 'three'].map((text) => contentOf(Buffer.from(`layer ${text} `.repeat(20))));

function modelImage(image: Image, subject: string | null = null): ModelManifest {
  return { ...image.manifest, blobs: image.blobs.map(({ digest }) => digest), children: [], subject };
}

function modelIndex(children: readonly ModelManifest[], label: string): ModelManifest {
  const manifest = indexOf(children, { annotations: { label } });
  return { ...manifest, blobs: [], children, subject: null };
}

const images = [
  imageOf(layers.slice(0, 1), 'first'),
  imageOf(layers.slice(0, 2), 'second'),
  imageOf(layers.slice(2), 'third'),
];
const [first, second, third] = images.map((image) => modelImage(image));
assert.ok(first && second && third);
const subject = descriptorOf(first.mediaType, first);
const signature = imageOf([layers[1] ?? assert.fail()], 'signature', {
  subject,
  artifactType: 'test/signature',
});
const both = modelIndex([first, second], 'both');
const nested = modelIndex([both, third], 'nested');
const manifests = [first, second, third, modelImage(signature, first.digest), both, nested];
/** Manifests come as plain blobs as well: then an index makes them manifests. */
const blobs: readonly Content[] = [
  ...layers,
  ...images.map(({ blobs: [config] }) => config ?? assert.fail()),
  first,
  third,
];
const all = [...layers, ...[...images, signature].map(({ blobs: [config] }) => config ?? assert.fail())];

type Operation = { readonly kind: 'restart'; readonly withoutIndex: boolean } | Request;

interface Request {
  readonly kind: RequestKind;
  readonly repo: number;
  readonly other: number;
  readonly blob: number;
  readonly manifest: number;
  readonly tag: number;
}

type RequestKind = (typeof KINDS)[number];
const KINDS = [
  'push blob',
  'mount',
  'push by tag',
  'push by digest',
  'pull by tag',
  'pull by digest',
  'get blob',
  'delete tag',
  'delete manifest',
  'delete blob',
  'list tags',
  'referrers',
  'catalog',
] as const;

const request: fc.Arbitrary<Request> = fc.record({
  kind: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...KINDS) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('push by tag', 'push by tag', 'push by digest', 'delete manifest'),
    },
  ),
  repo: fc.nat(REPOS.length - 1),
  other: fc.nat(REPOS.length - 1),
  blob: fc.nat(blobs.length - 1),
  manifest: fc.nat(manifests.length - 1),
  tag: fc.nat(TAGS.length - 1),
});
const restart = fc.boolean().map((withoutIndex): Operation => ({ kind: 'restart', withoutIndex }));
const operations = fc.array(fc.oneof({ weight: 40, arbitrary: request }, { weight: 1, arbitrary: restart }), {
  minLength: OPERATIONS_MIN,
  maxLength: OPERATIONS_MAX,
  size: 'max',
});

/** The server, restarted at will, under repository names that each run has for itself. */
class Subject {
  server: InProcessServer;
  prefix = '';
  #runs = 0;
  #root: string;
  #driver: StorageDriver;

  constructor(root: string, driver: StorageDriver, server: InProcessServer) {
    this.#root = root;
    this.#driver = driver;
    this.server = server;
  }

  begin(): void {
    this.#runs += 1;
    this.prefix = `run${this.#runs}`;
  }

  async restart(withoutIndex: boolean): Promise<void> {
    await this.server.close();
    if (withoutIndex) {
      for (const suffix of ['', '-wal', '-shm'])
        await rm(join(this.#root, `_zot/index.db${suffix}`), { force: true });
    }
    this.server = await serveInProcess({
      root: this.#root,
      driver: this.#driver,
      storage: { commit: false },
    });
  }
}

/** What one operation works with, drawn from its numbers. */
interface Call {
  readonly client: Subject['server']['client'];
  readonly model: RegistryModel;
  readonly prefix: string;
  readonly repo: string;
  readonly other: string;
  readonly blob: Content;
  readonly manifest: (typeof manifests)[number];
  readonly tag: string;
  readonly way: number;
  readonly get: (path: string) => Promise<Answer>;
  readonly remove: (path: string) => Promise<Answer>;
}

interface Performed {
  readonly expected: ModelAnswer;
  readonly answer: Answer;
  readonly says: (answer: Answer) => string;
}

const digestHeader = (answer: Answer): string => String(answer.headers['docker-content-digest']);
const bodyDigest = (answer: Answer): string => contentOf(answer.body).digest;
const nothing = (): string => '';

/** Each kind of operation: what is asked of the server, and what the model answers. */
const performers: Record<Request['kind'], (call: Call) => Promise<Performed>> = {
  'push blob': async ({ client, model, repo, blob, way }) => {
    const answer = await pushBlob(client, repo, blob, BLOB_WAYS[way]);
    return { expected: model.pushBlob(repo, blob), answer, says: digestHeader };
  },
  mount: async ({ client, model, repo, other, blob }) => {
    const answer = await client.send('POST', `/v2/${repo}/blobs/uploads/?mount=${blob.digest}&from=${other}`);
    return { expected: model.mount(repo, other, blob.digest), answer, says: digestHeader };
  },
  'push by tag': async ({ client, model, repo, manifest, tag }) => {
    const answer = await pushManifest(client, repo, manifest, tag);
    return { expected: model.pushManifest(repo, manifest, tag), answer, says: digestHeader };
  },
  'push by digest': async ({ client, model, repo, manifest }) => {
    const answer = await pushManifest(client, repo, manifest, manifest.digest);
    return { expected: model.pushManifest(repo, manifest, null), answer, says: digestHeader };
  },
  'pull by tag': async ({ model, repo, tag, get }) => {
    const answer = await get(`${repo}/manifests/${tag}`);
    return { expected: model.getManifest(repo, tag), answer, says: bodyDigest };
  },
  'pull by digest': async ({ model, repo, manifest, get }) => {
    const answer = await get(`${repo}/manifests/${manifest.digest}`);
    return { expected: model.getManifest(repo, manifest.digest), answer, says: bodyDigest };
  },
  'get blob': async ({ model, repo, blob, get }) => {
    const answer = await get(`${repo}/blobs/${blob.digest}`);
    return { expected: model.getBlob(repo, blob.digest), answer, says: bodyDigest };
  },
  'delete tag': async ({ model, repo, tag, remove }) => {
    const answer = await remove(`${repo}/manifests/${tag}`);
    return { expected: model.deleteTag(repo, tag), answer, says: nothing };
  },
  'delete manifest': async ({ model, repo, manifest, remove }) => {
    const answer = await remove(`${repo}/manifests/${manifest.digest}`);
    return { expected: model.deleteManifest(repo, manifest.digest), answer, says: nothing };
  },
  'delete blob': async ({ model, repo, blob, remove }) => {
    const answer = await remove(`${repo}/blobs/${blob.digest}`);
    return { expected: model.deleteBlob(repo, blob.digest), answer, says: nothing };
  },
  'list tags': async ({ model, repo, get }) => {
    const answer = await get(`${repo}/tags/list`);
    return { expected: model.listTags(repo), answer, says: listOf('tags') };
  },
  referrers: async ({ model, repo, manifest, get }) => {
    const answer = await get(`${repo}/referrers/${manifest.digest}`);
    return { expected: model.referrers(repo, manifest.digest), answer, says: listOf('manifests') };
  },
  catalog: async ({ model, prefix, get }) => {
    const answer = await get(`_catalog?n=100&last=${prefix}`);
    const ofRun = (found: Answer): string =>
      listOf('repositories')(found)
        .split(',')
        .filter((name) => name.startsWith(`${prefix}/`))
        .join();
    return { expected: model.catalog(REPOS.map((name) => `${prefix}/${name}`)), answer, says: ofRun };
  },
};

function perform(operation: Request, subjectServer: Subject, model: RegistryModel): Promise<Performed> {
  const { prefix } = subjectServer;
  const { client } = subjectServer.server;
  return performers[operation.kind]({
    client,
    model,
    prefix,
    repo: `${prefix}/${REPOS[operation.repo]}`,
    other: `${prefix}/${REPOS[operation.other]}`,
    blob: blobs[operation.blob] ?? assert.fail(),
    manifest: manifests[operation.manifest] ?? assert.fail(),
    tag: TAGS[operation.tag] ?? assert.fail(),
    way: operation.tag,
    get: (path) => client.send('GET', `/v2/${path}`),
    remove: (path) => client.send('DELETE', `/v2/${path}`),
  });
}

function listOf(member: string): (answer: Answer) => string {
  return ({ body }) => {
    const list =
      (JSON.parse(body.toString()) as Record<string, (string | { digest: string })[]>)[member] ?? [];
    return list.map((item) => (typeof item === 'string' ? item : item.digest)).join();
  };
}

function codeOf({ body }: Answer): string | undefined {
  const { errors } = JSON.parse(body.toString()) as { errors?: { code: string }[] };
  return errors?.[0]?.code;
}

async function play(
  sequence: readonly Operation[],
  subjectServer: Subject,
  seen: Map<string, number>,
): Promise<void> {
  subjectServer.begin();
  const model = new RegistryModel();
  // Two of the repositories have what manifests need, until it is deleted.
  for (const repo of REPOS.slice(0, 2).map((name) => `${subjectServer.prefix}/${name}`)) {
    for (const blob of all) {
      await pushBlob(subjectServer.server.client, repo, blob);
      model.pushBlob(repo, blob);
    }
  }
  for (const [at, operation] of sequence.entries()) {
    if (operation.kind === 'restart') {
      await subjectServer.restart(operation.withoutIndex);
      continue;
    }
    const { expected, answer, says } = await perform(operation, subjectServer, model);
    const where = `operation ${at}, ${JSON.stringify(operation)}: ${answer.body.toString().slice(0, 200)}`;
    assert.equal(answer.status, expected.status, where);
    const outcome = `${operation.kind} ${answer.status}`;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (expected.code !== undefined) assert.equal(codeOf(answer), expected.code, where);
    if (expected.says !== undefined) assert.equal(says(answer), expected.says, where);
  }
}

describe('the registry and its model', { timeout: timeoutFor(RUNS * 2, 5000) }, () => {
  const drivers: readonly { name: string; make: (root: string) => StorageDriver }[] = [
    { name: 'memory', make: () => new MemoryDriver() },
    { name: 'local', make: (root) => new LocalDriver(root) },
  ];
  for (const { name, make } of drivers) {
    test(`answer the same: ${name} driver`, async (context) => {
      const seen = new Map<string, number>();
      const root = await mkdtemp(join(tmpdir(), 'zot-model-'));
      const driver = make(root);
      const subjectServer = new Subject(
        root,
        driver,
        await serveInProcess({ root, driver, storage: { commit: false } }),
      );
      try {
        const property = fc.asyncProperty(operations, (sequence) => play(sequence, subjectServer, seen));
        await fc.assert(property, { numRuns: RUNS, seed, endOnFailure: false });
        context.diagnostic(
          [...seen]
            .map(([outcome, count]) => `${outcome}: ${count}`)
            .toSorted()
            .join(', '),
        );
      } finally {
        await subjectServer.server.close();
        await rm(root, { recursive: true, force: true });
      }
    });
  }
});
