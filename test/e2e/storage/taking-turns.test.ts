/**
 * This registry and zot take turns on one folder: each pushes, moves tags, deletes, shares blobs and collects, and
 * after each turn the other one finds everything.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { runZot } from '../../support/run-zot.ts';
import { SeededRandom } from '../../faults/support/seeded-random.ts';
import { roundsOr, seed } from '../../faults/support/settings.ts';
import { ZotHand, seenByZot } from '../../support/zot-folder/zot-hand.ts';
import type { Content } from '../../support/zot-folder/zot-hand.ts';
import { contentOf, pushZotImage, zotImage, zotIndex } from '../../support/zot-folder/zot-shapes.ts';
import type { ZotImage } from '../../support/zot-folder/zot-shapes.ts';
import { expectStatus, pushBlob, pushManifest } from '../support/content.ts';
import { serveRegistry } from '../support/served.ts';
import type { Served } from '../support/served.ts';

const TURNS = 10;
const DEEDS_PER_TURN = 6;
const REPOS = ['team/app', 'team/app/nested', 'other'];
const TAGS = ['v1', 'v2', 'latest', 'all'];

const layers = ['a', 'b', 'c'].map((name) => contentOf(`layer ${name} & <more>`.repeat(60)));
const images = [0, 1, 2, 3].map((at) =>
  zotImage(`image ${at}`, [layers[at % 3] ?? contentOf(''), layers[2] ?? contentOf('')]),
);

/** What either of the two does to the folder. */
interface Hand {
  push(repo: string, image: ZotImage, tag: string): Promise<void>;
  pushIndex(repo: string, index: Content, tag: string): Promise<void>;
  deleteTag(repo: string, tag: string): Promise<void>;
  deleteManifest(repo: string, digest: string): Promise<void>;
}

const handOfZot = (zot: ZotHand): Hand => ({
  push: (repo, image, tag) => pushZotImage(zot, repo, image, tag),
  pushIndex: (repo, index, tag) => zot.pushManifest(repo, index, tag),
  deleteTag: (repo, tag) => zot.deleteTag(repo, tag),
  deleteManifest: (repo, digest) => zot.deleteManifest(repo, digest),
});

const handOfOurs = (served: Served): Hand => ({
  push: async (repo, { manifest, blobs }, tag) => {
    for (const blob of blobs) await pushBlob(served, repo, blob);
    await pushManifest(served, repo, manifest, tag);
  },
  pushIndex: async (repo, index, tag) => void (await pushManifest(served, repo, index, tag)),
  deleteTag: async (repo, tag) =>
    void expectStatus(await served.request('DELETE', `/v2/${repo}/manifests/${tag}`), 202),
  deleteManifest: async (repo, digest) =>
    void expectStatus(await served.request('DELETE', `/v2/${repo}/manifests/${digest}`), 202),
});

/** Which content each tag of each repository names: what both must show. */
class Model {
  readonly tags = new Map(REPOS.map((repo) => [repo, new Map<string, Content>()]));
  readonly children = new Map<string, readonly string[]>();
  /** What was pushed in the turn that goes on. */
  readonly pushed = new Set<string>();
  #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  #of(repo: string): Map<string, Content> {
    return this.tags.get(repo) ?? new Map<string, Content>();
  }

  #pick<Value>(from: readonly Value[]): Value {
    return from[this.#random.below(from.length)] as Value;
  }

  async act(hand: Hand): Promise<void> {
    const repo = this.#pick(REPOS);
    const tags = this.#of(repo);
    const taken = [...tags.keys()];
    const choice = this.#random.below(8);
    if (choice < 4 || taken.length === 0) return this.#push(hand, repo);
    if (choice < 6) return this.#pushIndex(hand, repo);
    const tag = this.#pick(taken);
    const content = tags.get(tag);
    if (content === undefined) return;
    if (choice === 6) {
      await hand.deleteTag(repo, tag);
      tags.delete(tag);
      return;
    }
    // Neither deletes what an index lists that is still there.
    const isChild = [...tags.values()].some(({ digest }) =>
      this.children.get(digest)?.includes(content.digest),
    );
    if (isChild || this.children.has(content.digest) || this.#wasChild.has(`${repo} ${content.digest}`))
      return;
    await hand.deleteManifest(repo, content.digest);
    for (const [name, { digest }] of tags) if (digest === content.digest) tags.delete(name);
  }

  /** Children of indexes that may be there without a tag. */
  readonly #wasChild = new Set<string>();

  async #push(hand: Hand, repo: string): Promise<void> {
    const image = this.#pick(images);
    const tag = this.#pick(TAGS);
    await hand.push(repo, image, tag);
    this.pushed.add(`${repo} ${image.manifest.digest}`);
    this.#of(repo).set(tag, image.manifest);
  }

  async #pushIndex(hand: Hand, repo: string): Promise<void> {
    const two = [this.#pick(images), this.#pick(images)];
    // Children are pushed first, each under a tag of its own.
    for (const [at, image] of two.entries()) {
      const tag = `child${at}`;
      await hand.push(repo, image, tag);
      this.#of(repo).set(tag, image.manifest);
      this.pushed.add(`${repo} ${image.manifest.digest}`);
      this.#wasChild.add(`${repo} ${image.manifest.digest}`);
    }
    const index = zotIndex(two, `${this.#random.below(3)}`);
    this.children.set(
      index.digest,
      two.map(({ manifest }) => manifest.digest),
    );
    const tag = this.#pick(TAGS);
    await hand.pushIndex(repo, index, tag);
    this.#of(repo).set(tag, index);
  }
}

/** What index.json lists, by repository. */
type Listed = ReadonlyMap<string, ReadonlySet<string>>;

/** Also that every child of an index which was listed, or pushed meanwhile, is: zot serves by digest nothing else. */
async function requireSeenByZot(root: string, model: Model, before?: Listed): Promise<Listed> {
  const listed = new Map<string, ReadonlySet<string>>();
  for (const [repo, tags] of model.tags) {
    if (!(await isRepository(root, repo))) {
      assert.equal(tags.size, 0, `${repo} is gone`);
      continue;
    }
    const seen = await seenByZot(root, repo);
    assert.deepEqual(seen.faults, [], repo);
    const expected = [...tags].map(([tag, { digest }]) => [tag, digest]);
    assert.deepEqual(seen.tags, Object.fromEntries(expected), repo);
    listed.set(repo, new Set(seen.manifests));
    const had = (child: string): boolean =>
      before !== undefined && (before.get(repo)?.has(child) === true || model.pushed.has(`${repo} ${child}`));
    const children = [...tags.values()].flatMap(({ digest }) => model.children.get(digest) ?? []);
    for (const child of children.filter(had)) assert.ok(seen.manifests.includes(child), child);
  }
  return listed;
}

const isRepository = async (root: string, repo: string): Promise<boolean> =>
  (await readdir(path.join(root, repo)).catch((): string[] => [])).includes('index.json');

async function requireServed(served: Served, model: Model): Promise<void> {
  for (const [repo, tags] of model.tags) {
    for (const [tag, content] of tags) {
      const answer = await served.request('GET', `/v2/${repo}/manifests/${tag}`);
      assert.deepEqual([answer.status, answer.body], [200, content.bytes], `${repo}:${tag}`);
      const body = JSON.parse(content.bytes.toString()) as { layers?: { digest: string }[] };
      for (const { digest } of body.layers ?? [])
        expectStatus(await served.request('GET', `/v2/${repo}/blobs/${digest}`), 200);
      for (const child of model.children.get(content.digest) ?? [])
        expectStatus(await served.request('GET', `/v2/${repo}/manifests/${child}`), 200);
    }
    const list = await served.request('GET', `/v2/${repo}/tags/list`);
    const listed =
      list.status === 404 ? [] : ((JSON.parse(list.text) as { tags: string[] | null }).tags ?? []);
    assert.deepEqual(listed.toSorted(), [...tags.keys()].toSorted(), repo);
  }
}

async function collect(folder: string, root: string): Promise<void> {
  const configFile = path.join(folder, 'config.json');
  const storage = { rootDirectory: root, gcDelay: '1ms' };
  await writeFile(configFile, JSON.stringify({ storage, http: { address: '127.0.0.1', port: '0' } }));
  const { exitCode, errors } = await runZot('gc', configFile, '--full');
  assert.equal(exitCode, 0, errors);
}

async function turnOfZot(
  root: string,
  model: Model,
  { dedupe, collects }: { readonly dedupe: boolean; readonly collects: boolean },
): Promise<void> {
  const zot = new ZotHand(root, { dedupe });
  await zot.learn(REPOS);
  for (let deed = 0; deed < DEEDS_PER_TURN; deed += 1) await model.act(handOfZot(zot));
  if (!collects) return;
  for (const repo of REPOS) if (await isRepository(root, repo)) await zot.collect(repo);
}

async function turnOfOurs(root: string, model: Model, dedupe: boolean): Promise<void> {
  const served = await serveRegistry({ root, storage: { dedupe } });
  try {
    await requireServed(served, model);
    for (let deed = 0; deed < DEEDS_PER_TURN; deed += 1) await model.act(handOfOurs(served));
    await requireServed(served, model);
  } finally {
    await served.close();
  }
}

async function play(random: SeededRandom, dedupe: boolean): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-turns-'));
  const root = path.join(folder, 'data');
  try {
    const model = new Model(random);
    for (let turn = 0; turn < TURNS; turn += 1) {
      await turnOfZot(root, model, { dedupe, collects: random.below(3) === 0 });
      const before = await requireSeenByZot(root, model);
      model.pushed.clear();
      await turnOfOurs(root, model, dedupe);
      await requireSeenByZot(root, model, before);
      if (random.below(3) === 0) await collect(folder, root);
      await requireSeenByZot(root, model, before);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('this registry and zot, taking turns on one folder,', { timeout: 240_000 }, () => {
  for (const dedupe of [true, false]) {
    test(`find what the other one left, with dedupe ${dedupe ? 'on' : 'off'}`, async () => {
      for (let round = 0; round < roundsOr(1); round += 1)
        await play(new SeededRandom(seed * 100 + round * 2 + Number(dedupe)), dedupe);
    });
  }
});
