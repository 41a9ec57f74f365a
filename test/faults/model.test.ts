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
import type { BlobWay } from './support/pushing.ts';
import type { Answer, RegistryClient } from './support/registry-client.ts';
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
const operations = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<Operation>[]>(
    { weight: 40, arbitrary: request },
    { weight: 1, arbitrary: restart },
  ),
  { minLength: OPERATIONS_MIN, maxLength: OPERATIONS_MAX, size: 'max' },
);

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

/** What a request is made of: chosen things by their choice. */
interface Scene {
  readonly client: RegistryClient;
  readonly model: RegistryModel;
  readonly prefix: string;
  readonly repo: string;
  readonly other: string;
  readonly blob: Content;
  readonly way: BlobWay;
  readonly manifest: ModelManifest;
  readonly tag: string;
}

interface RequestType {
  send(scene: Scene): Promise<Answer>;
  expect(scene: Scene): ModelAnswer;
  /** What the answer says besides its status. */
  says(answer: Answer, scene: Scene): string;
}

const digestHeader = (answer: Answer): string => String(answer.headers['docker-content-digest']);
const bodyDigest = (answer: Answer): string => contentOf(answer.body).digest;
const nothing = (): string => '';

const requests: Readonly<Record<RequestKind, RequestType>> = {
  'push blob': {
    send: ({ client, repo, blob, way }) => pushBlob(client, repo, blob, way),
    expect: ({ model, repo, blob }) => model.pushBlob(repo, blob),
    says: digestHeader,
  },
  mount: {
    send: ({ client, repo, blob, other }) =>
      client.send('POST', `/v2/${repo}/blobs/uploads/?mount=${blob.digest}&from=${other}`),
    expect: ({ model, repo, blob, other }) => model.mount(repo, other, blob.digest),
    says: digestHeader,
  },
  'push by tag': {
    send: ({ client, repo, manifest, tag }) => pushManifest(client, repo, manifest, tag),
    expect: ({ model, repo, manifest, tag }) => model.pushManifest(repo, manifest, tag),
    says: digestHeader,
  },
  'push by digest': {
    send: ({ client, repo, manifest }) => pushManifest(client, repo, manifest),
    expect: ({ model, repo, manifest }) => model.pushManifest(repo, manifest, null),
    says: digestHeader,
  },
  'pull by tag': {
    send: ({ client, repo, tag }) => client.send('GET', `/v2/${repo}/manifests/${tag}`),
    expect: ({ model, repo, tag }) => model.getManifest(repo, tag),
    says: bodyDigest,
  },
  'pull by digest': {
    send: ({ client, repo, manifest }) => client.send('GET', `/v2/${repo}/manifests/${manifest.digest}`),
    expect: ({ model, repo, manifest }) => model.getManifest(repo, manifest.digest),
    says: bodyDigest,
  },
  'get blob': {
    send: ({ client, repo, blob }) => client.send('GET', `/v2/${repo}/blobs/${blob.digest}`),
    expect: ({ model, repo, blob }) => model.getBlob(repo, blob.digest),
    says: bodyDigest,
  },
  'delete tag': {
    send: ({ client, repo, tag }) => client.send('DELETE', `/v2/${repo}/manifests/${tag}`),
    expect: ({ model, repo, tag }) => model.deleteTag(repo, tag),
    says: nothing,
  },
  'delete manifest': {
    send: ({ client, repo, manifest }) => client.send('DELETE', `/v2/${repo}/manifests/${manifest.digest}`),
    expect: ({ model, repo, manifest }) => model.deleteManifest(repo, manifest.digest),
    says: nothing,
  },
  'delete blob': {
    send: ({ client, repo, blob }) => client.send('DELETE', `/v2/${repo}/blobs/${blob.digest}`),
    expect: ({ model, repo, blob }) => model.deleteBlob(repo, blob.digest),
    says: nothing,
  },
  'list tags': {
    send: ({ client, repo }) => client.send('GET', `/v2/${repo}/tags/list`),
    expect: ({ model, repo }) => model.listTags(repo),
    says: listOf('tags'),
  },
  referrers: {
    send: ({ client, repo, manifest }) => client.send('GET', `/v2/${repo}/referrers/${manifest.digest}`),
    expect: ({ model, repo, manifest }) => model.referrers(repo, manifest.digest),
    says: listOf('manifests'),
  },
  catalog: {
    send: ({ client, prefix }) => client.send('GET', `/v2/_catalog?n=100&last=${prefix}`),
    expect: ({ model, prefix }) => model.catalog(REPOS.map((name) => `${prefix}/${name}`)),
    // Other runs have repositories of their own.
    says: (answer, { prefix }) => {
      const names = listOf('repositories')(answer).split(',');
      return names.filter((name) => name.startsWith(`${prefix}/`)).join();
    },
  },
};

function sceneOf(request: Request, subjectServer: Subject, model: RegistryModel): Scene {
  const { prefix, server } = subjectServer;
  return {
    client: server.client,
    model,
    prefix,
    repo: `${prefix}/${REPOS[request.repo]}`,
    other: `${prefix}/${REPOS[request.other]}`,
    blob: blobs[request.blob] ?? assert.fail(),
    way: BLOB_WAYS[request.tag] ?? 'post',
    manifest: manifests[request.manifest] ?? assert.fail(),
    tag: TAGS[request.tag] ?? assert.fail(),
  };
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
    const scene = sceneOf(operation, subjectServer, model);
    const type = requests[operation.kind];
    const answer = await type.send(scene);
    const expected = type.expect(scene);
    const where = `operation ${at}, ${JSON.stringify(operation)}: ${answer.body.toString().slice(0, 200)}`;
    assert.equal(answer.status, expected.status, where);
    const outcome = `${operation.kind} ${answer.status}`;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (expected.code !== undefined) assert.equal(codeOf(answer), expected.code, where);
    if (expected.says !== undefined) assert.equal(type.says(answer, scene), expected.says, where);
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
