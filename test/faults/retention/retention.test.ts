/** Retention in a real registry, by a clock of its own: what goes, what stays, and who wins when things cross. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { OCI_INDEX } from '#oci/media-types';
import { readReference } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { MemoryDriver } from '../../../src/storage/drivers/memory.ts';
import { CollectedRegistry } from '../gc/collected-registry.ts';
import { HOUR_MS, REPO, RetainedRegistry, settingsOf } from './retained-registry.ts';
import type { PolicyText } from './retained-registry.ts';

const LAST_TWO: PolicyText = { keepTags: [{ mostRecentlyPushedCount: 2 }] };
const PULLED_TODAY: PolicyText = { keepTags: [{ pulledWithin: '24h' }] };

function it(title: string, work: (registry: RetainedRegistry) => Promise<void>): void {
  test(title, { timeout: 60_000 }, async () => {
    const collected = await CollectedRegistry.open(() => new MemoryDriver());
    try {
      await work(new RetainedRegistry(collected));
    } finally {
      await collected.remove();
    }
  });
}

async function pushOneAnHour(registry: RetainedRegistry, tags: readonly string[]): Promise<void> {
  for (const tag of tags) {
    await registry.push(tag);
    registry.pass(1);
  }
}

/** Runs `act` once, when a round has judged and is about to remove. */
function beforeRemoval(registry: RetainedRegistry, act: () => Promise<void>): void {
  const { retention } = registry.keeper;
  const retire = retention.retire.bind(retention);
  let done = false;
  retention.retire = async (...args) => {
    if (!done) {
      done = true;
      await act();
    }
    return retire(...args);
  };
}

describe('a round of retention', () => {
  it('removes the tags that no rule keeps; their manifests wait for the delay', async (registry) => {
    const first = await registry.push('v1');
    registry.pass(2);
    await pushOneAnHour(registry, ['v2', 'v3']);
    assert.equal((await registry.sweep(LAST_TWO)).tags, 1);
    assert.deepEqual(await registry.tags(), ['v2', 'v3']);
    assert.ok(await registry.has(first));
    registry.pass(1.05);
    assert.equal((await registry.sweep(LAST_TWO)).manifests, 1);
    assert.ok(!(await registry.has(first)));
  });

  it('leaves a manifest that has another tag', async (registry) => {
    const digest = await registry.push('v1', 'same');
    await registry.push('keep', 'same');
    await registry.sweep({ keepTags: [{ patterns: ['^keep$'] }] });
    assert.deepEqual(await registry.tags(), ['keep']);
    registry.pass(2);
    await registry.sweep({ keepTags: [{ patterns: ['^keep$'] }] });
    assert.ok(await registry.has(digest));
  });

  it('takes all tags of one manifest at once, and lists it without a tag then', async (registry) => {
    const digest = await registry.push('a', 'same');
    await registry.push('b', 'same');
    assert.equal((await registry.sweep({ keepTags: [{ patterns: ['^keep$'] }] })).tags, 2);
    assert.deepEqual(await registry.tags(), []);
    assert.ok(await registry.has(digest));
    const entries = await registry.collected.opened.index.findEntries(REPO, { kind: 'digest', digest });
    assert.deepEqual(
      entries.map(({ tag }) => tag),
      [null],
    );
  });

  it('counts pulls by digest, whatever tag or digest they asked for', async (registry) => {
    const digest = await registry.push('v1');
    await registry.push('v2');
    registry.pass(20);
    await registry.pull(digest);
    registry.pass(20);
    await registry.sweep(PULLED_TODAY);
    assert.deepEqual(await registry.tags(), ['v1']);
    registry.pass(5);
    await registry.sweep(PULLED_TODAY);
    assert.deepEqual(await registry.tags(), []);
  });

  it('counts the push of an image that was deleted anew', async (registry) => {
    const digest = await registry.push('v1');
    registry.pass(30);
    await registry.sweep(PULLED_TODAY);
    registry.pass(2);
    await registry.sweep(PULLED_TODAY);
    assert.ok(!(await registry.has(digest)));
    await registry.push('v1');
    await registry.sweep(PULLED_TODAY);
    assert.deepEqual(await registry.tags(), ['v1']);
  });

  it('passes by what nobody changed until a time runs out', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2']);
    const { records } = registry.collected.opened;
    let asked = 0;
    const watched = new Proxy(records, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (name === 'statistics') asked += 1;
        return typeof found === 'function' ? found.bind(target) : found;
      },
    });
    const sweep = async (): Promise<number> => {
      asked = 0;
      await registry.sweep(PULLED_TODAY, { records: watched });
      return asked;
    };
    assert.deepEqual([await sweep(), await sweep()], [2, 0]);
    registry.pass(21);
    assert.equal(await sweep(), 0);
    registry.pass(1.5);
    assert.equal(await sweep(), 2);
    assert.deepEqual(await registry.tags(), ['v2']);
    await registry.push('v3');
    assert.deepEqual([await sweep(), await sweep()], [2, 0]);
  });

  it('hears of a pull that takes the place of another', async (registry) => {
    const policy = { keepTags: [{ mostRecentlyPulledCount: 1 }] };
    const [one, two] = [await registry.push('v1'), await registry.push('v2')];
    await registry.pull(one);
    registry.pass(1);
    await registry.sweep({ keepTags: [{ mostRecentlyPulledCount: 2 }] });
    await registry.sweep({ keepTags: [{ mostRecentlyPulledCount: 2 }] });
    await registry.pull(two);
    await registry.sweep(policy);
    assert.deepEqual(await registry.tags(), ['v2']);
  });

  it("of a dry run logs what would go, in zot's words, and changes nothing", async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    const lines: Record<string, unknown>[] = [];
    const logger = pino(
      { messageKey: 'message', base: null, timestamp: false },
      {
        write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
      },
    );
    const settings = settingsOf(LAST_TWO, { dryRun: true });
    const { tags } = await registry.sweep(LAST_TWO, { settings, logger });
    assert.equal(tags, 1);
    assert.deepEqual(await registry.tags(), ['v1', 'v2', 'v3']);
    const applied = lines.filter(({ message }) => message === 'applied policy');
    const first = applied.find(({ tag }) => tag === 'v1') ?? {};
    const { pushTimestamp, digest, ...rest } = first;
    assert.ok(typeof pushTimestamp === 'string' && pushTimestamp.startsWith('2026-01-01T00'));
    assert.match(String(digest), /^sha256:/);
    assert.deepEqual(rest, {
      level: 30,
      module: 'retention',
      'dry-run': true,
      repository: 'team/app',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      tag: 'v1',
      lastPullTimestamp: '0001-01-01T00:00:00Z',
      decision: 'delete',
      reason: "didn't meet any tag retention rule",
      message: 'applied policy',
    });
    const why = 'retained by mostRecentlyPushedCount:2 policy';
    const kept = applied
      .filter(({ decision }) => decision === 'keep')
      .map(({ tag, reason }) => `${String(tag)} ${String(reason)}`);
    assert.deepEqual(new Set(kept), new Set(['v2', 'v3'].map((tag) => `${tag} ${why}`)));
  });

  it('tells the audit log what went', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    const removals: unknown[] = [];
    const nothing = (): void => undefined;
    const audit = {
      request: nothing,
      event: nothing,
      reopen: nothing,
      flush: async () => undefined,
      removal: (removal: unknown) => void removals.push(removal),
    };
    await registry.sweep(LAST_TWO, { audit });
    const digest = await registry.push(null, 'v1');
    const reason = "didn't meet any tag retention rule";
    const expected = {
      module: 'retention',
      repository: 'team/app',
      reference: 'v1',
      tag: 'v1',
      digest,
      reason,
    };
    assert.deepEqual(removals, [expected]);
  });

  it('is off where collection is off', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    const settings = { ...settingsOf(LAST_TWO), enabled: false };
    assert.equal((await registry.sweep(LAST_TWO, { settings })).tags, 0);
  });
});

describe('what clients do while a round is under way wins', () => {
  it('a push of the same image again', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    beforeRemoval(registry, async () => void (await registry.push('v1')));
    await registry.sweep(LAST_TWO);
    assert.deepEqual(await registry.tags(), ['v1', 'v2', 'v3']);
  });

  it('a tag that names something else by then', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    beforeRemoval(registry, async () => void (await registry.push('v1', 'another')));
    await registry.sweep(LAST_TWO);
    assert.deepEqual(await registry.tags(), ['v1', 'v2', 'v3']);
  });

  it('a pull that a rule looks at', async (registry) => {
    const digest = await registry.push('v1');
    await registry.push('v2');
    registry.pass(30);
    beforeRemoval(registry, () => registry.pull(digest));
    await registry.sweep(PULLED_TODAY);
    assert.deepEqual(await registry.tags(), ['v1']);
  });

  it('a deletion of what counted: others stay in its place', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3', 'v4']);
    beforeRemoval(registry, () => registry.deleteTag('v4'));
    await registry.sweep(LAST_TWO);
    assert.deepEqual(await registry.tags(), ['v2', 'v3']);
  });

  it('a tag that moves back to an old image counts as that', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3', 'v4']);
    beforeRemoval(registry, async () => void (await registry.push('v4', 'v1')));
    await registry.sweep(LAST_TWO);
    // v4 names what v1 names, which was pushed first.
    assert.deepEqual(await registry.tags(), ['v2', 'v3']);
  });

  it('a change of another tool in the folder', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    const { storage } = registry.collected.opened;
    const { driver } = storage.storeOf(REPO);
    const path = `${REPO}/index.json`;
    beforeRemoval(registry, async () => {
      const read = await driver.read(path, 100_000);
      assert.ok(read);
      const index = JSON.parse(read.toString()) as { manifests: { annotations: object }[] };
      index.manifests = index.manifests.filter((each) => !JSON.stringify(each).includes('"v3"'));
      const bytes = Buffer.from(JSON.stringify(index));
      await driver.put(path, [bytes], { durable: false, stagingPath: 'stage' });
    });
    await registry.sweep(LAST_TWO);
    assert.deepEqual(await registry.tags(), ['v1', 'v2']);
  });
});

describe('clocks', () => {
  it('that are set forward let nothing go', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2']);
    registry.collected.clock.jump(1000 * HOUR_MS);
    assert.equal((await registry.sweep(PULLED_TODAY)).tags, 0);
    registry.pass(20);
    assert.equal((await registry.sweep(PULLED_TODAY)).tags, 0);
    registry.pass(4);
    assert.equal((await registry.sweep(PULLED_TODAY)).tags, 2);
  });

  it('that are set back let nothing go', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2']);
    registry.collected.clock.jump(-1000 * HOUR_MS);
    assert.equal((await registry.sweep(PULLED_TODAY)).tags, 0);
    registry.pass(100);
    assert.equal((await registry.sweep(PULLED_TODAY)).tags, 0);
  });
});

describe('manifests without a tag', () => {
  it('stay by the rules of keepUntagged', async (registry) => {
    const policy = { keepUntagged: { mostRecentlyPushedCount: 1, pulledWithin: '24h' } };
    const digests = [];
    for (const content of ['a', 'b', 'c']) {
      digests.push(await registry.push(null, content));
      registry.pass(1);
    }
    registry.pass(30);
    const [a, b, c] = digests;
    assert.ok(a && b && c);
    await registry.pull(a);
    registry.pass(2);
    await registry.sweep(policy);
    assert.deepEqual(
      [await registry.has(a), await registry.has(b), await registry.has(c)],
      [true, false, true],
    );
    registry.pass(30);
    await registry.sweep(policy);
    assert.deepEqual([await registry.has(a), await registry.has(c)], [false, true]);
    assert.equal((await registry.sweep({})).manifests, 1);
  });

  it('that lost their tag keep their times', async (registry) => {
    const policy = { keepUntagged: { pulledWithin: '24h' } };
    const [one, two] = [await registry.push('v1'), await registry.push('v2')];
    registry.pass(30);
    await registry.pull(one);
    for (const tag of ['v1', 'v2']) await registry.deleteTag(tag);
    registry.pass(2);
    await registry.sweep(policy);
    assert.deepEqual([await registry.has(one), await registry.has(two)], [true, false]);
    registry.pass(24);
    await registry.sweep(policy);
    assert.ok(!(await registry.has(one)));
  });

  it('that an index lists, or that are about another, neither go nor count', async (registry) => {
    const policy = { keepUntagged: { mostRecentlyPushedCount: 1 } };
    const first = await registry.push(null, 'first');
    registry.pass(1);
    const child = await registry.push(null, 'child');
    const bytes = registry.manifest('child');
    const descriptor = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: child,
      size: bytes.length,
    };
    const members = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] };
    await registry.collected.opened.registry.pushManifest({
      repo: REPO,
      reference: readReference('multi'),
      mediaType: OCI_INDEX,
      bytes: Buffer.from(JSON.stringify(members)),
      tags: [],
    });
    const subject = { ...descriptor, digest: first, size: registry.manifest('first').length };
    const referrer = await registry.push(null, 'referrer', { subject });
    registry.pass(2);
    assert.equal((await registry.sweep(policy)).manifests, 0);
    for (const digest of [first, child, referrer]) assert.ok(await registry.has(digest));
  });

  it('are kept by a pull or a push while a sweep is under way', async (registry) => {
    const policy = { keepUntagged: { pulledWithin: '24h' } };
    const digest = await registry.push(null, 'a');
    registry.pass(30);
    const { garbage } = registry.keeper;
    const collect = garbage.collectManifest.bind(garbage);
    garbage.collectManifest = async (...args) => {
      await registry.pull(digest);
      return collect(...args);
    };
    assert.equal((await registry.sweep(policy)).manifests, 0);
    assert.ok(await registry.has(digest));
  });
});

describe('signatures that are tags', () => {
  it('go with deleteReferrers when their subject is gone, after the delay', async (registry) => {
    const policy = { deleteReferrers: true };
    const digest = await registry.push('v1');
    const hex = digest.slice('sha256:'.length);
    await registry.push(`sha256-${hex}.sig`, 'signature');
    await registry.push(`sha256-${'0'.repeat(64)}.sbom`, 'list');
    await registry.push(`sha256-${'0'.repeat(64)}`, 'referrers');
    assert.equal((await registry.sweep(policy)).tags, 0);
    registry.pass(1.05);
    await registry.sweep({});
    assert.equal((await registry.sweep(policy)).tags, 1);
    assert.deepEqual(await registry.tags(), [`sha256-${'0'.repeat(64)}`, `sha256-${hex}.sig`, 'v1']);
  });

  it('that list referrers are never judged', async (registry) => {
    await registry.push(`sha256-${'0'.repeat(64)}`, 'referrers');
    await registry.push('v1');
    await registry.sweep({ keepTags: [{ patterns: ['^none$'] }] });
    assert.deepEqual(await registry.tags(), [`sha256-${'0'.repeat(64)}`]);
  });
});

describe('an old folder', () => {
  it('counts images as pushed when their files were written', async (registry) => {
    await pushOneAnHour(registry, ['v1', 'v2', 'v3']);
    const other = parseRepoName('other/app');
    const { storage } = registry.collected.opened;
    const { driver } = storage.storeOf(REPO);
    // Copied as another tool would: nothing is recorded of it.
    for (const tag of ['v1', 'v2', 'v3']) {
      const bytes = registry.manifest(tag);
      const digest = await registry.push(null, tag);
      const path = digest.replace(':', '/');
      await driver.put(`${other}/blobs/${path}`, [bytes], { durable: false, stagingPath: 'stage' });
      registry.pass(1);
    }
    for (const file of [
      'oci-layout',
      'index.json',
      `blobs/sha256/${'44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'}`,
    ]) {
      const read = await driver.read(`${REPO}/${file}`, 100_000);
      assert.ok(read);
      await driver.put(`${other}/${file}`, [read], { durable: false, stagingPath: 'stage' });
    }
    await registry.keeper.refresh(other);
    assert.deepEqual(await registry.tags(other), ['v1', 'v2', 'v3']);
    await registry.sweep({ keepTags: [{ pushedWithin: '2h' }] });
    assert.deepEqual(await registry.tags(other), ['v3']);
  });
});
