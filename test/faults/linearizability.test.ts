/** The checker itself: it must accept what one order explains, and refuse what none does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from './support/linearizability.ts';
import type { Recorded, TagOperation } from './support/linearizability.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { roundsOr, seed } from './support/settings.ts';

const put = (digest: string): TagOperation => ({ kind: 'put', digest });
const get = (digest: string | null): TagOperation => ({ kind: 'get', digest });
const remove = (found: boolean): TagOperation => ({ kind: 'delete', found });

function history(...rows: readonly (readonly [TagOperation, number, number | null])[]): Recorded[] {
  return rows.map(([operation, calledMs, answeredMs], at) => ({
    operation,
    calledMs,
    answeredMs,
    client: `c${at}`,
  }));
}

test('accepts operations one after another', () => {
  assert.equal(
    explain(history([put('a'), 0, 1], [get('a'), 2, 3], [remove(true), 4, 5], [get(null), 6, 7])),
    null,
  );
});

test('accepts either order of operations that overlap', () => {
  for (const seen of ['a', 'b']) {
    assert.equal(explain(history([put('a'), 0, 10], [put('b'), 0, 10], [get(seen), 11, 12])), null);
  }
});

test('refuses a read of what was replaced before it began', () => {
  assert.match(explain(history([put('a'), 0, 1], [put('b'), 2, 3], [get('a'), 4, 5])) ?? '', /no order/);
});

test('refuses reads that go back in time', () => {
  const rows = history([put('a'), 0, 1], [put('b'), 2, 9], [get('b'), 3, 4], [get('a'), 5, 6]);
  assert.match(explain(rows) ?? '', /no order/);
});

test('refuses a tag that is absent while it moves', () => {
  assert.match(explain(history([put('a'), 0, 1], [put('b'), 2, 9], [get(null), 3, 4])) ?? '', /no order/);
});

test('refuses two deletes that both found the same tag', () => {
  assert.match(
    explain(history([put('a'), 0, 1], [remove(true), 2, 9], [remove(true), 2, 9])) ?? '',
    /no order/,
  );
});

test('takes an operation without an answer to happen late, or never', () => {
  assert.equal(
    explain(history([put('a'), 0, 1], [put('b'), 2, null], [get('a'), 3, 4], [get('b'), 8, 9])),
    null,
  );
  assert.equal(explain(history([put('a'), 0, 1], [put('b'), 2, null], [get('a'), 3, 4])), null);
  const twice = history([put('b'), 0, null], [get('b'), 1, 2], [remove(true), 3, 4], [get('b'), 5, 6]);
  assert.match(explain(twice) ?? '', /no order/);
});

test('takes a list of tags to say only whether a tag is there', () => {
  const seen = (present: boolean): TagOperation => ({ kind: 'seen', present });
  assert.equal(
    explain(history([put('a'), 0, 1], [seen(true), 2, 3], [remove(true), 4, 5], [seen(false), 6, 7])),
    null,
  );
  assert.match(explain(history([put('a'), 0, 1], [seen(false), 2, 3])) ?? '', /no order/);
});

/** Plays operations against a tag, each at one moment within its time. */
function playedHistory(random: SeededRandom, operations: number): Recorded[] {
  const recorded: Recorded[] = [];
  let state: string | null = null;
  for (let at = 0; at < operations; at += 1) {
    const momentMs = at * 10;
    const choice = random.below(3);
    let operation: TagOperation;
    if (choice === 0) {
      operation = put(`d${random.below(4)}`);
      state = operation.kind === 'put' ? operation.digest : state;
    } else if (choice === 1) operation = get(state);
    else {
      operation = remove(state !== null);
      state = null;
    }
    const calledMs = momentMs - random.below(60);
    const answeredMs = random.below(20) === 0 && choice === 0 ? null : momentMs + random.below(60);
    recorded.push({ operation, calledMs, answeredMs, client: `c${at}` });
  }
  return recorded;
}

test('accepts every history that was played by one order', () => {
  const random = new SeededRandom(seed);
  for (let round = 0; round < roundsOr(50); round += 1)
    assert.equal(explain(playedHistory(random, 120)), null);
});

test('notices one changed answer in every history', () => {
  const random = new SeededRandom(seed);
  const rounds = roundsOr(20);
  let noticed = 0;
  for (let round = 0; round < rounds; round += 1) {
    const played = playedHistory(random, 50);
    const reads = played.flatMap(({ operation }, at) => (operation.kind === 'get' ? [at] : []));
    const at = reads[random.below(reads.length)] ?? 0;
    const changed = played.with(at, { ...(played[at] as Recorded), operation: get('never pushed') });
    if (explain(changed) !== null) noticed += 1;
  }
  assert.equal(noticed, rounds);
});
