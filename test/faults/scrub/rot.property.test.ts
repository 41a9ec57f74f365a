/**
 * Stored bytes rot, and are scrubbed, while clients push, look, mount and delete, garbage is collected, equal blobs are
 * linked or made independent, and the process begins anew: what never rotted is served right; what is known to be
 * damaged is never served as good; a push of it makes it good everywhere; what is sound is never called damaged for
 * good; nothing that is needed is lost, and all garbage goes.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readReference } from '#oci/reference';
import { NO_TAG_RULES, RegistryError } from '#registry';
import type { Registry } from '#registry';
import { OWN_FOLDER } from '#storage';
import type { RepoName } from '#oci/repo-name';
import { roundsOr, seed } from '../support/settings.ts';
import { Actor, REPOS, TAGS } from '../gc/actor.ts';
import { DELAY_MS } from '../gc/collected-registry.ts';
import { BLOBS, PIECES } from '../gc/model.ts';
import { SteppedWork } from '../gc/stepped-work.ts';
import { CONTENTS, RottingRegistry } from './rotting-registry.ts';

const UNDO_MS = 2 * DELAY_MS;
const UNDO = { ...NO_TAG_RULES, undoMs: () => UNDO_MS, shortestUndoMs: UNDO_MS };

const repo = fc.constantFrom(...REPOS);
const blob = fc.nat(BLOBS.length - 1);
const piece = fc.nat(PIECES.length - 1);
const tag = fc.constantFrom(...TAGS);

/** Named steps with their arguments, so that a failing run can be read. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('upload' as const), repo, at: blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const), repo, at: blob }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mount' as const), repo, at: blob, from: repo }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('push' as const), repo, at: piece, tag: fc.option(tag) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteTag' as const), repo, tag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteManifest' as const), repo, at: piece }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteBlob' as const), repo, at: blob }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('rot' as const),
      repo,
      at: fc.nat(CONTENTS.length - 1),
      share: fc.double({ min: 0, max: 0.99, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('mendByHand' as const), repo, at: fc.nat(CONTENTS.length - 1) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('scrub' as const), whole: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('relink' as const), on: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), share: fc.constantFrom(0.3, 1.05, 2.5) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('proceed' as const), steps: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      loses: fc.constantFrom(null, 'index', 'records'),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Variant {
  readonly dedupe: boolean;
  readonly undo: boolean;
}

class Play {
  readonly #rotting: RottingRegistry;
  readonly #variant: Variant;
  readonly #actor: Actor;
  readonly #scrub = new SteppedWork();
  readonly #sweep = new SteppedWork();
  readonly #pass = new SteppedWork();
  /** Whose bytes are not right, as the disk was before the step. */
  #rotten = new Set<string>();
  /** What was known of them then. */
  #known = new Set<string>();

  constructor(rotting: RottingRegistry, variant: Variant) {
    this.#rotting = rotting;
    this.#variant = variant;
    this.#actor = new Actor(rotting.collected, (name, digest) => this.#rotten.has(`${name} ${digest}`));
    this.#begin();
  }

  #begin(): void {
    if (this.#variant.undo) this.#rotting.collected.opened.keeper.tags.use(UNDO);
  }

  async run(steps: readonly { step: Step; beside: boolean }[]): Promise<void> {
    for (const name of REPOS) for (const at of [0, 2]) await this.#push(name, at, 'v1');
    for (const { step: next, beside } of steps) {
      await this.#look();
      await this.#beside(this.#act(next), beside);
      await this.#require();
      await this.#requireKnown(next.do === 'rot');
    }
    await this.#end();
    await this.#requireAllFound();
    await this.#letGarbageGo();
    await this.#pushAllThatRotted();
  }

  /** Waits for something while the scrub goes on, whose look at a content others wait for. */
  async #beside<Result>(work: Promise<Result>, all = false): Promise<Result> {
    let isOver = false;
    const over = (): void => void (isOver = true);
    work.then(over, over);
    while (!isOver) {
      await this.#scrub.proceed(1);
      if (all) await Promise.all([this.#sweep.proceed(1), this.#pass.proceed(1)]);
      // Nobody is at work: turns of the loop alone would keep the disk waiting.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return work;
  }

  async #act(next: Step): Promise<void> {
    const actor = this.#actor;
    const { collected } = this.#rotting;
    switch (next.do) {
      case 'upload':
        return this.#upload(next.repo, next.at);
      case 'look':
        return actor.look(next.repo, next.at);
      case 'mount':
        return actor.mount(next.repo, next.from, next.at);
      case 'push':
        return this.#push(next.repo, next.at, next.tag);
      case 'deleteTag':
        return actor.deleteTag(next.repo, next.tag);
      case 'deleteManifest':
        return actor.deleteManifest(next.repo, next.at);
      case 'deleteBlob':
        return actor.deleteBlob(next.repo, next.at);
      case 'advance':
        return collected.clock.advance(next.share * DELAY_MS);
      case 'restart':
        return this.#restart(next.loses);
      default:
        return this.#decay(next);
    }
  }

  /** What the disk does, and the work in the background. */
  async #decay(next: Step): Promise<void> {
    const rotting = this.#rotting;
    if (next.do === 'rot') {
      return rotting.rotAny(next.repo, next.at, next.share);
    }
    if (next.do === 'mendByHand')
      return rotting.mendByHand(next.repo, CONTENTS[next.at] as (typeof CONTENTS)[number]);
    if (next.do === 'scrub') {
      this.#scrub.start((pause) => rotting.scrub(pause));
      if (next.whole) await this.#scrub.end();
    }
    if (next.do === 'sweep') this.#sweep.start((pause) => rotting.collected.sweep(pause));
    if (next.do === 'relink' && this.#variant.dedupe) {
      await this.#pass.end();
      this.#pass.start((pause) => rotting.collected.dedupe(next.on, pause));
    }
    if (next.do !== 'proceed') return;
    for (const work of [this.#scrub, this.#sweep, this.#pass]) await work.proceed(next.steps);
  }

  async #upload(name: RepoName, at: number): Promise<void> {
    const { digest } = CONTENTS[at] as (typeof CONTENTS)[number];
    const known = await this.#whereKnown(digest);
    await this.#actor.upload(name, at);
    await this.#rotting.requireMended(known, digest);
    // A copy that rotted after it was proven, unseen, may be linked to all the same.
    if (known.length > 0) assert.equal(await this.#rotting.truthOf(name, digest), 'sound');
  }

  async #push(name: RepoName, at: number, asked: string | null): Promise<void> {
    const { blobs, manifest } = PIECES[at] as (typeof PIECES)[number];
    for (const { digest } of blobs)
      await this.#upload(
        name,
        BLOBS.findIndex((one) => one.digest === digest),
      );
    const content = CONTENTS.find(({ digest }) => digest === manifest.digest) as (typeof CONTENTS)[number];
    const known = await this.#whereKnown(content.digest);
    await this.#look();
    await this.#actor.push(name, at, asked);
    // It is refused where it needs what is damaged.
    if ((await this.#rotting.truthOf(name, content.digest)) === 'sound')
      await this.#rotting.requireMended(known, content.digest);
  }

  async #whereKnown(digest: (typeof CONTENTS)[number]['digest']): Promise<RepoName[]> {
    const known: RepoName[] = [];
    for (const name of REPOS) if (await this.#rotting.isKnown(name, digest)) known.push(name);
    return known;
  }

  /** Begins anew, perhaps after the loss of a database; what is held for undo is known by the records alone. */
  async #restart(loses: 'index' | 'records' | null): Promise<void> {
    const { collected } = this.#rotting;
    await this.#end();
    await collected.stop();
    const lost = this.#variant.undo && loses === 'records' ? null : loses;
    for (const suffix of ['', '-wal', '-shm'])
      await rm(join(collected.root, OWN_FOLDER, `${lost}.db${suffix}`), { force: true });
    await collected.start();
    this.#begin();
    await collected.opened.keeper.tags.hideHeld(new AbortController().signal);
  }

  async #end(): Promise<void> {
    await Promise.all([this.#scrub.end(), this.#sweep.end(), this.#pass.end()]);
  }

  async #look(): Promise<void> {
    const rotten = await this.#rotting.rotten();
    this.#rotten = new Set(rotten.map(({ repo: name, at }) => `${name} ${CONTENTS[at]?.digest}`));
  }

  async #require(): Promise<void> {
    await this.#look();
    await this.#beside(this.#actor.requirePromises());
    await this.#beside(this.#requireRight());
    await this.#requireNothingLost();
  }

  /** What was known to be damaged, and is still, is known still, under every name of its file. */
  async #requireKnown(hasRotted: boolean): Promise<void> {
    const rotting = this.#rotting;
    // Mending goes on meanwhile: files are looked at before and after what is known of them.
    const files = await Promise.all(CONTENTS.map(({ digest }) => rotting.oneFile(digest)));
    const now = new Set(await rotting.damage());
    await this.#look();
    for (const key of this.#rotten) {
      const wasKnown = this.#known.has(key) && !hasRotted;
      if (wasKnown) assert.ok(now.has(key), `${key} is forgotten, and damaged still`);
    }
    for (const [at, { digest }] of CONTENTS.entries()) {
      if (files[at] === null || (await rotting.oneFile(digest)) !== files[at]) continue;
      const known = REPOS.map((name) => now.has(`${name} ${digest}`));
      assert.equal(known[0], known[1], `${digest} is known under one of its names`);
    }
    this.#known = now;
  }

  /** Nothing that is known to be damaged is served, no manifest that rotted ever is, and nothing sound is noted. */
  async #requireRight(): Promise<void> {
    const { registry } = this.#rotting.collected.opened;
    for (const name of REPOS) {
      for (const [at, { digest, bytes }] of CONTENTS.entries()) {
        const truth = await this.#rotting.truthOf(name, digest);
        const isKnown = await this.#rotting.isKnown(name, digest);
        if (truth === 'sound') assert.equal(isKnown, false, `${digest} is noted, and sound, in ${name}`);
        if (truth !== 'rotten') continue;
        const found = isKnown ? await orNull(registry.openBlob(name, digest)) : null;
        if (found !== null) await this.#requireMended(name, { digest, bytes }, found);
        if (at < BLOBS.length) continue;
        const pulled = await orNull(registry.pullManifest(name, readReference(digest)));
        if (pulled !== null) assert.ok(pulled.bytes.equals(bytes), `a rotten manifest is served by ${name}`);
      }
    }
  }

  /** Who asks for what is damaged may have it mended meanwhile: then it is served, and right. */
  async #requireMended(
    name: RepoName,
    content: (typeof CONTENTS)[number],
    { reader, sizeBytes }: Awaited<ReturnType<Registry['openBlob']>>,
  ): Promise<void> {
    const bytes = Buffer.alloc(sizeBytes);
    await reader.read(bytes, 0);
    await reader.close();
    assert.ok(bytes.equals(content.bytes), `${content.digest} is known to be damaged, and served by ${name}`);
  }

  async #requireNothingLost(): Promise<void> {
    const nowMs = this.#rotting.collected.clock.elapsedMs();
    for (const [name, model] of this.#actor.models) {
      for (const digest of model.needed(model.kept(nowMs, DELAY_MS))) {
        const content = CONTENTS.find((one) => one.digest === digest) as (typeof CONTENTS)[number];
        const truth = await this.#rotting.truthOf(name, content.digest);
        assert.notEqual(truth, 'gone', `${digest} is needed in ${name}`);
      }
    }
  }

  /** After a pass what is damaged is known, and nothing else is. */
  async #requireAllFound(): Promise<void> {
    await this.#rotting.scrub();
    await this.#require();
    const { damage, rotten } = { damage: await this.#rotting.damage(), rotten: [...this.#rotten] };
    assert.deepEqual(damage.toSorted(), rotten.toSorted());
  }

  async #letGarbageGo(): Promise<void> {
    const { collected } = this.#rotting;
    for (let round = 0; round < 2; round += 1) {
      if (this.#variant.undo) collected.clock.advance(UNDO_MS + 1);
      await collected.collectAll();
    }
    await this.#look();
    await this.#actor.requireNoGarbage();
    assert.deepEqual((await this.#rotting.damage()).toSorted(), [...this.#rotten].toSorted());
  }

  async #pushAllThatRotted(): Promise<void> {
    for (const { repo: name, at } of await this.#rotting.rotten()) {
      if (at < BLOBS.length) await this.#upload(name, at);
    }
    // Children first: an index needs what it names.
    const order = PIECES.map((_, at) => at).toSorted(
      (one, other) => (PIECES[one]?.children.length ?? 0) - (PIECES[other]?.children.length ?? 0),
    );
    for (const at of order) {
      for (const name of REPOS) {
        const rotten = await this.#rotting.rotten();
        if (rotten.some((one) => one.repo === name && one.at === BLOBS.length + at))
          await this.#push(name, at, null);
      }
    }
    await this.#require();
    assert.deepEqual([await this.#rotting.rotten(), await this.#rotting.damage()], [[], []]);
  }
}

async function orNull<Result>(asked: Promise<Result>): Promise<Result | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return null;
    throw error;
  }
}

const variants: readonly Variant[] = [
  { dedupe: false, undo: false },
  { dedupe: true, undo: false },
  { dedupe: false, undo: true },
  { dedupe: true, undo: true },
];

describe('stored bytes rot beside clients', { timeout: 240_000 }, () => {
  for (const variant of variants) {
    const kind = `dedupe ${variant.dedupe ? 'on' : 'off'}, undo ${variant.undo ? 'on' : 'off'}`;
    test(`and what is known to be damaged is never served, and made good by a push: ${kind}`, async () => {
      const steps = fc.array(fc.record({ step, beside: fc.boolean() }), { minLength: 5, maxLength: 40 });
      const property = fc.asyncProperty(steps, async (list) => {
        const rotting = await RottingRegistry.open(variant.dedupe);
        try {
          await new Play(rotting, variant).run(list);
        } finally {
          await rotting.collected.remove();
        }
      });
      await fc.assert(property, { numRuns: 8 * roundsOr(1), seed, interruptAfterTimeLimit: 100_000 });
    });
  }
});
