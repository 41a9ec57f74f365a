/** Every rule of zot's retention, alone and together, and what must hold whatever the tags are. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { configFromObject } from '#config';
import { parseRepoName } from '#oci/repo-name';
import { keptReason } from './retention-log.ts';
import { TagJudge } from './rules.ts';
import type { Facts, RuleTimes } from './rules.ts';
import { retentionSettings } from './settings.ts';
import type { TagEntry } from './settings.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 5, 1);

const times = (pullsBegan = 10_000): RuleTimes => ({
  ageMs: (atMs) => NOW_MS - atMs,
  pullsBeganMs: NOW_MS - pullsBegan * HOUR_MS,
});

/** A tag by the hours since it was pushed and pulled. */
function tag(name: string, pushedHours: number | null, pulledHours: number | null = null): Facts {
  const at = (hours: number | null): number | null => (hours === null ? null : NOW_MS - hours * HOUR_MS);
  return { name, pushedMs: at(pushedHours), pulledMs: at(pulledHours), allPullsKnown: true };
}

function entriesOf(keepTags: readonly unknown[]): readonly TagEntry[] {
  const policies = [{ repositories: ['**'], keepTags }];
  const { config } = configFromObject({ storage: { rootDirectory: '/tmp/zot', retention: { policies } } });
  const policy = retentionSettings(config.storage.retention).policyOf(parseRepoName('a/b'));
  assert.ok(policy);
  return policy.keepTags;
}

/** The first rule that keeps each tag, or `-` for what goes; `?` for what belongs to no entry. */
function outcome(keepTags: readonly unknown[], tags: readonly Facts[], at = times()): Record<string, string> {
  const judge = new TagJudge(entriesOf(keepTags), at);
  const placed = tags.map((facts) => ({ facts, entry: judge.add(facts) }));
  return Object.fromEntries(
    placed.map(({ facts, entry }) => {
      const [rule] = judge.judge(facts, entry).keptBy;
      const shown = rule === undefined ? (entry === null ? '?' : '-') : rule.name;
      return [facts.name, shown];
    }),
  );
}

interface Row {
  readonly name: string;
  readonly keepTags: readonly unknown[];
  readonly tags: readonly Facts[];
  readonly expected: Record<string, string>;
}

const PULLED = 'mostRecentlyPulledCount';
const PUSHED = 'mostRecentlyPushedCount';

const rows: readonly Row[] = [
  {
    name: 'without entries all tags stay',
    keepTags: [],
    tags: [tag('v1', 900), tag('v2', 1)],
    expected: { v1: 'patterns', v2: 'patterns' },
  },
  {
    name: 'an entry without patterns and rules keeps all',
    keepTags: [{}],
    tags: [tag('v1', 900)],
    expected: { v1: 'patterns' },
  },
  {
    name: 'patterns alone keep what they match, anywhere in the tag',
    keepTags: [{ patterns: ['v2.*', '.*-prod'] }],
    tags: [tag('v2.1', 900), tag('rev2', 900), tag('v1-prod', 900), tag('v1', 1)],
    expected: { 'v2.1': 'patterns', rev2: 'patterns', 'v1-prod': 'patterns', v1: '?' },
  },
  {
    name: 'patterns are those of RE2: flags, and anchors where they are written',
    keepTags: [{ patterns: ['(?i)^RELEASE-', '^[0-9]+$'] }],
    tags: [tag('release-1', 1), tag('a-release-1', 1), tag('17', 1), tag('17a', 1)],
    expected: { 'release-1': 'patterns', 'a-release-1': '?', '17': 'patterns', '17a': '?' },
  },
  {
    name: 'pulledWithin looks at the last pull, and counts a push as one',
    keepTags: [{ pulledWithin: '24h' }],
    tags: [
      tag('pulled', 900, 23),
      tag('old', 900, 25),
      tag('pushed', 23),
      tag('never', 900),
      tag('edge', 24),
    ],
    expected: { pulled: 'pulledWithin', old: '-', pushed: 'pulledWithin', never: '-', edge: '-' },
  },
  {
    name: 'pushedWithin looks at the first push alone',
    keepTags: [{ pushedWithin: '24h' }],
    tags: [tag('pulled', 900, 1), tag('pushed', 23), tag('edge', 24)],
    expected: { pulled: '-', pushed: 'pushedWithin', edge: '-' },
  },
  {
    name: 'a duration of 0 is a rule that keeps nothing',
    keepTags: [{ pulledWithin: '0s' }],
    tags: [tag('v1', 1, 1)],
    expected: { v1: '-' },
  },
  {
    name: 'a count of 0 is no rule',
    keepTags: [{ [PUSHED]: 0, [PULLED]: 0 }],
    tags: [tag('v1', 900)],
    expected: { v1: 'patterns' },
  },
  {
    name: 'times in the future are within everything',
    keepTags: [{ pushedWithin: '1h' }],
    tags: [tag('v1', -5)],
    expected: { v1: 'pushedWithin' },
  },
  {
    name: 'the pushed last',
    keepTags: [{ [PUSHED]: 2 }],
    tags: [tag('v1', 3, 1), tag('v2', 2), tag('v3', 1)],
    expected: { v1: '-', v2: PUSHED, v3: PUSHED },
  },
  {
    name: 'the pulled last; what was never pulled comes behind, the pushed last first',
    keepTags: [{ [PULLED]: 2 }],
    tags: [tag('v1', 900, 5), tag('v2', 2), tag('v3', 1)],
    expected: { v1: PULLED, v2: '-', v3: PULLED },
  },
  {
    name: 'more asked for than there are',
    keepTags: [{ [PULLED]: 10 }],
    tags: [tag('v1', 900)],
    expected: { v1: PULLED },
  },
  {
    name: 'the rules of an entry are joined by "or", the counts first',
    keepTags: [{ [PUSHED]: 1, [PULLED]: 1, pulledWithin: '48h', pushedWithin: '12h' }],
    tags: [tag('a', 100, 90), tag('b', 100, 1), tag('c', 2), tag('d', 5), tag('e', 100, 40), tag('f', 20)],
    expected: { a: '-', b: PULLED, c: PUSHED, d: 'pulledWithin', e: 'pulledWithin', f: 'pulledWithin' },
  },
  {
    name: 'a tag belongs to the first entry that matches, whatever later ones say',
    keepTags: [
      { patterns: ['^v1'], pushedWithin: '1h' },
      { patterns: ['^v'], [PUSHED]: 5 },
    ],
    tags: [tag('v1.0', 2), tag('v2.0', 900), tag('main', 1)],
    expected: { 'v1.0': '-', 'v2.0': PUSHED, main: '?' },
  },
  {
    name: 'counts count within their entry',
    keepTags: [
      { patterns: ['^dev'], [PUSHED]: 1 },
      { patterns: ['^rel'], [PUSHED]: 1 },
    ],
    tags: [tag('dev1', 1), tag('dev2', 2), tag('rel1', 3), tag('rel2', 4)],
    expected: { dev1: PUSHED, dev2: '-', rel1: PUSHED, rel2: '-' },
  },
  {
    name: 'an entry for all at the end takes what is left',
    keepTags: [{ patterns: ['^v'] }, { pulledWithin: '1h' }],
    tags: [tag('v1', 900), tag('main', 1, 0.5), tag('old', 900)],
    expected: { v1: 'patterns', main: 'pulledWithin', old: '-' },
  },
  {
    name: 'a tag of which nothing is known is kept, also where no pattern matches it, and does not count',
    keepTags: [{ patterns: ['^v'], [PUSHED]: 1 }],
    tags: [tag('v1', 1), tag('v2', null), tag('other', null)],
    expected: { v1: PUSHED, v2: 'no statistics', other: 'no statistics' },
  },
  {
    name: 'signatures that are tags need a pattern like any other tag',
    keepTags: [{ patterns: ['^v'] }],
    tags: [tag(`sha256-${'a'.repeat(64)}.sig`, 1), tag('v1', 1)],
    expected: { [`sha256-${'a'.repeat(64)}.sig`]: '?', v1: 'patterns' },
  },
  // The policies of zot's example for retention, one after another.
  {
    name: "zot's example for production images",
    keepTags: [{ patterns: ['v2.*', '.*-prod'] }, { patterns: ['v3.*'], pulledWithin: '168h' }],
    tags: [
      tag('v2.0', 9000),
      tag('v3.0', 9000, 160),
      tag('v3.1', 9000, 170),
      tag('v4', 1),
      tag('x-prod', 9000),
    ],
    expected: { 'v2.0': 'patterns', 'v3.0': 'pulledWithin', 'v3.1': '-', v4: '?', 'x-prod': 'patterns' },
  },
  {
    name: "zot's example for temporary images",
    keepTags: [{ patterns: ['v1.*'], pulledWithin: '168h', pushedWithin: '168h' }],
    tags: [tag('v1.0', 9000, 160), tag('v1.1', 160), tag('v1.2', 9000), tag('v2', 1)],
    expected: { 'v1.0': 'pulledWithin', 'v1.1': 'pulledWithin', 'v1.2': '-', v2: '?' },
  },
];

describe('the rules of retention', { timeout: 60_000 }, () => {
  for (const { name, keepTags, tags, expected } of rows)
    test(name, () => assert.deepEqual(outcome(keepTags, tags), expected));

  test("zot's example for all other images keeps ten of each, and what is younger than 30 days", () => {
    const keepTags = [{ [PUSHED]: 10, [PULLED]: 10, pulledWithin: '720h', pushedWithin: '720h' }];
    const tags = Array.from({ length: 40 }, (_, at) =>
      tag(`t${at}`, 700 + at * 10, at < 20 ? null : 2000 + at),
    );
    const kept = Object.entries(outcome(keepTags, tags)).filter(([, rule]) => rule !== '-');
    // t0 to t9 were pushed last, t20 to t29 pulled last; younger than 720 hours are t0 and t1.
    const expected = [...Array(10).keys(), ...Array.from({ length: 10 }, (_, at) => 20 + at)];
    assert.deepEqual(
      kept.map(([name]) => Number(name.slice(1))),
      expected,
    );
  });

  test('where pulls were not counted for as long as a rule looks back, what may have been pulled stays', () => {
    const old: Facts = { ...tag('old', 900), allPullsKnown: false };
    const pulled: Facts = { ...tag('pulled', 900, 30), allPullsKnown: false };
    const rule = [{ pulledWithin: '24h' }];
    assert.deepEqual(outcome(rule, [old, pulled, tag('known', 900)], times(23)), {
      old: 'pulledWithin',
      // A pull that is known is the last one.
      pulled: '-',
      known: '-',
    });
    assert.deepEqual(outcome(rule, [old], times(25)), { old: '-' });
    const judge = new TagJudge(entriesOf(rule), times(23));
    const [kept] = judge.judge(old, judge.add(old)).keptBy;
    assert.ok(kept);
    assert.match(keptReason(kept), /^pulls are not known for as long as pulledWithin:86400000000000 policy$/);
  });

  test('reasons are those of zot, durations in nanoseconds', () => {
    const reasons = [
      keptReason({ name: 'patterns' }),
      keptReason({ name: PULLED, count: 3 }),
      keptReason({ name: 'pushedWithin', withinMs: HOUR_MS }),
    ];
    assert.deepEqual(reasons, [
      'retained by patterns policy',
      'retained by mostRecentlyPulledCount:3 policy',
      'retained by pushedWithin:3600000000000 policy',
    ]);
  });

  test('a verdict lasts as long as the longest of its windows, or until something changes', () => {
    const judge = new TagJudge(
      entriesOf([
        { patterns: ['^n'], [PUSHED]: 1, pushedWithin: '9h' },
        { pulledWithin: '10h', pushedWithin: '30h' },
      ]),
      times(),
    );
    const facts = [tag('new', 1), tag('n2', 5), tag('a', 20, 3), tag('b', 20, 12), tag('gone', 99)];
    const placed = facts.map((each) => ({ each, entry: judge.add(each) }));
    assert.deepEqual(
      placed.map(({ each, entry }) => judge.lastsMs(each, entry) / HOUR_MS),
      [Infinity, 4, 10, 10, 0],
    );
  });
});

describe('whatever the tags and rules are', { timeout: 60_000 }, () => {
  const hours = fc.oneof(fc.integer({ min: -3, max: 50 }), fc.integer({ min: 0, max: 5000 }));
  const facts = fc.record({
    pushed: hours,
    pulled: fc.option(hours),
    kind: fc.constantFrom('v', 'dev', 'x'),
  });
  const tags = fc
    .array(facts, { maxLength: 40 })
    .map((all) => all.map(({ pushed, pulled, kind }, at) => tag(`${kind}${at}`, pushed, pulled)));
  const duration = fc.option(fc.integer({ min: 0, max: 200 }));
  const count = fc.integer({ min: 0, max: 6 });
  const entry = fc
    .record({
      patterns: fc.subarray(['^v', '^dev', '1$']),
      pulled: count,
      pushed: count,
      pulledIn: duration,
      pushedIn: duration,
    })
    .map((each) => ({
      patterns: each.patterns,
      [PULLED]: each.pulled,
      [PUSHED]: each.pushed,
      ...(each.pulledIn === null ? {} : { pulledWithin: `${each.pulledIn}h` }),
      ...(each.pushedIn === null ? {} : { pushedWithin: `${each.pushedIn}h` }),
    }));
  const entries = fc.array(entry, { minLength: 1, maxLength: 3 });

  test('the order in which tags come does not matter', () => {
    const shuffled = tags.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(entries, shuffled, (keepTags, [one, other]) => {
        assert.deepEqual(outcome(keepTags, one), outcome(keepTags, other));
      }),
    );
  });

  test('nothing goes that its entry keeps by time, and as many stay as are counted', () => {
    fc.assert(
      fc.property(entries, tags, (keepTags, all) => {
        const result = outcome(keepTags, all);
        const compiled = entriesOf(keepTags);
        const ofEntries = Map.groupBy(all, ({ name }) => compiled.findIndex((each) => each.matches(name)));
        for (const [place, group] of ofEntries) {
          const rules = compiled[place]?.rules;
          const kept = group.filter(({ name }) => !['-', '?'].includes(result[name] ?? ''));
          if (rules === undefined) {
            assert.equal(kept.length, 0);
            continue;
          }
          const counted = Math.max(rules.mostRecentlyPulledCount, rules.mostRecentlyPushedCount);
          assert.ok(kept.length >= Math.min(group.length, counted));
          for (const { name, pushedMs, pulledMs } of group) {
            const pushedAge = NOW_MS - (pushedMs ?? 0);
            const usedAge = Math.min(pushedAge, NOW_MS - (pulledMs ?? -Infinity));
            const isYoung =
              (rules.pushedWithinMs !== null && pushedAge < rules.pushedWithinMs) ||
              (rules.pulledWithinMs !== null && usedAge < rules.pulledWithinMs);
            if (isYoung) assert.notEqual(result[name], '-');
          }
        }
      }),
    );
  });

  test('what stays without being counted or young is what no rule is set for', () => {
    fc.assert(
      fc.property(entries, tags, (keepTags, all) => {
        const kept = Object.values(outcome(keepTags, all));
        const limit = keepTags.reduce((sum, each) => sum + Number(each[PULLED]) + Number(each[PUSHED]), 0);
        assert.ok(kept.filter((rule) => rule === PULLED || rule === PUSHED).length <= limit);
      }),
    );
  });
});
