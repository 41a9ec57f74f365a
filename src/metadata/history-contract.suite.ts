/** What every implementation of the history of tags must do, as a suite of node:test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '#oci/digest';
import { OCI_MANIFEST } from '#oci/media-types';
import { parseTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import { TAG_EVENTS_MAX } from './history-contract.ts';
import type { GoneTag, History, Hold, NewTagEvent, TagEvent } from './history-contract.ts';
import type { OpenedRecords } from './records-contract.suite.ts';

const REPO = parseRepoName('library/debian');
const OTHER = parseRepoName('library/alpine');
const LATEST = parseTag('latest');
const digest = (text: string) => digestOf(Buffer.from(text));
const ONE = digest('one');
const TWO = digest('two');
const ALL = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: 1000 };

function event(kind: NewTagEvent['kind'], of: Partial<NewTagEvent> = {}): NewTagEvent {
  const base = { repo: REPO, tag: LATEST, digest: ONE, previous: null, sizeBytes: 7, by: 'alice' };
  return { ...base, mediaType: OCI_MANIFEST, kind, ...of };
}

function hold(sinceMs: number, of: Partial<Hold> = {}): Hold {
  return { repo: REPO, digest: ONE, root: ONE, sinceMs, sizeBytes: 7, mediaType: OCI_MANIFEST, ...of };
}

interface Written {
  readonly events?: readonly NewTagEvent[];
  readonly holds?: readonly Hold[];
  readonly durable?: boolean;
}

/** Appends and confirms. */
async function write(history: History, nowMs: number, batch: Written): Promise<void> {
  const { events = [], holds = [], durable = false } = batch;
  await history.confirm(await history.append({ events, holds, nowMs, durable, confirmed: [] }));
}

const kinds = (events: readonly TagEvent[]): string[] => events.map(({ kind }) => kind);

type Case = (title: string, work: (history: History, opened: OpenedRecords) => Promise<void>) => void;

/** Declares the suite. `open` gives empty records for each test. */
export function historyContract(name: string, open: () => Promise<OpenedRecords>): void {
  describe(`the ${name} records keep the contract of the history`, () => {
    const historyTest: Case = (title, work) => {
      test(title, { timeout: 60_000 }, async () => {
        const opened = await open();
        try {
          await work(opened.records.history, opened);
        } finally {
          await opened.close();
        }
      });
    };
    eventCases(historyTest);
    pendingCases(historyTest);
    goneCases(historyTest);
    holdCases(historyTest);
    clockCases(historyTest);
    moveCases(historyTest);
  });
}

function eventCases(historyTest: Case): void {
  historyTest(
    'lists the events of a tag, the newest first, also after a restart',
    async (history, opened) => {
      await write(history, 1000, { events: [event('created'), event('created', { tag: parseTag('v1') })] });
      const moved = event('moved', { digest: TWO, previous: ONE, by: '' });
      await write(history, 2000, { events: [moved], durable: true });
      await write(history, 3000, { events: [event('created', { repo: OTHER })] });
      const again = (await opened.reopen()).history;
      assert.deepEqual(await again.listEvents(REPO, LATEST, ALL), [
        { ...moved, atMs: 2000 },
        { ...event('created'), atMs: 1000 },
      ]);
      assert.deepEqual(await again.listEvents(REPO, parseTag('absent'), ALL), []);
    },
  );

  historyTest('lists between two times, both excluded, by digest, and a page at a time', async (history) => {
    for (let at = 1; at <= 9; at += 1)
      await write(history, at * 100, { events: [event('moved', { digest: at % 3 === 0 ? TWO : ONE })] });
    const list = async (range: object): Promise<number[]> => {
      const found = await history.listEvents(REPO, LATEST, { ...ALL, ...range });
      return found.map(({ atMs }) => atMs);
    };
    assert.deepEqual(await list({ limit: 3 }), [900, 800, 700]);
    assert.deepEqual(await list({ beforeMs: 700, limit: 3 }), [600, 500, 400]);
    assert.deepEqual(await list({ beforeMs: 700, sinceMs: 400 }), [600, 500]);
    assert.deepEqual(await list({ digest: TWO, sinceMs: 300 }), [900, 600]);
    assert.deepEqual(await list({ beforeMs: 100.5 }), [100]);
  });

  historyTest('gives the events of a tag rising times, whatever the clock does', async (history) => {
    for (const nowMs of [5000, 5000, 10, 5001, 9000])
      await write(history, nowMs, { events: [event('moved')] });
    await write(history, 10, { events: [event('created', { tag: parseTag('v1') })] });
    const times = (await history.listEvents(REPO, LATEST, ALL)).map(({ atMs }) => atMs);
    assert.deepEqual(times, [9000, 5003, 5002, 5001, 5000]);
    assert.equal((await history.listEvents(REPO, parseTag('v1'), ALL))[0]?.atMs, 10);
  });

  historyTest('keeps the newest events of a tag, and no more than the bound', async (history) => {
    const many = Array.from({ length: TAG_EVENTS_MAX + 20 }, (_, at) => event('moved', { sizeBytes: at }));
    await write(history, 1, { events: many });
    const kept = await history.listEvents(REPO, LATEST, { ...ALL, limit: 5000 });
    assert.equal(kept.length, TAG_EVENTS_MAX);
    assert.deepEqual([kept[0]?.sizeBytes, kept.at(-1)?.sizeBytes], [TAG_EVENTS_MAX + 19, 20]);
  });
}

function pendingCases(historyTest: Case): void {
  historyTest('knows after a crash which events are pending', async (history, opened) => {
    const first = await history.append({
      events: [event('created'), event('created', { repo: OTHER })],
      holds: [],
      nowMs: 1,
      durable: true,
      confirmed: [],
    });
    assert.equal(first.length, 2);
    // The next batch confirms the one before in the same go.
    const moved = event('moved', { digest: TWO });
    const batch = { events: [moved], holds: [], nowMs: 2, durable: false, confirmed: first };
    const [second] = await history.append(batch);
    const again = (await opened.reopen()).history;
    assert.deepEqual(await again.pendingRepositories(), [REPO]);
    assert.deepEqual(await again.listPending(REPO), [{ ...second, kind: 'moved', digest: TWO }]);
    assert.deepEqual(await again.listPending(OTHER), []);
  });

  historyTest('takes back what did not happen, and nothing that was confirmed', async (history) => {
    const append = (events: NewTagEvent[]) =>
      history.append({ events, holds: [], nowMs: 1, durable: false, confirmed: [] });
    const first = await append([event('created')]);
    await history.confirm(first);
    const second = await append([event('deleted')]);
    await history.takeBack([...first, ...second]);
    assert.deepEqual(kinds(await history.listEvents(REPO, LATEST, ALL)), ['created']);
    assert.deepEqual(await history.listGone({ beforeMs: 9, after: null, limit: 9 }), []);
    assert.deepEqual(await history.pendingRepositories(), []);
  });
}

function goneCases(historyTest: Case): void {
  historyTest('finds tags that are gone by age, and forgets them', async (history) => {
    for (let at = 0; at < 7; at += 1) {
      const tag = parseTag(`v${at}`);
      await write(history, 100 + at, { events: [event('created', { tag }), event('deleted', { tag })] });
    }
    await write(history, 103, { events: [event('created', { tag: parseTag('v3') })] });
    const found: Tag[] = [];
    for (let after: GoneTag | null = null; ;) {
      const page: GoneTag[] = await history.listGone({ beforeMs: 105, after, limit: 2 });
      for (const gone of page) {
        found.push(gone.tag);
        await history.forgetTag(gone);
      }
      after = page.at(-1) ?? null;
      if (after === null) break;
    }
    assert.deepEqual(found, ['v0', 'v1', 'v2', 'v4', 'v5']);
    assert.deepEqual(await history.listEvents(REPO, parseTag('v0'), ALL), []);
    assert.equal((await history.listEvents(REPO, parseTag('v3'), ALL)).length, 3);
    assert.equal((await history.listEvents(REPO, parseTag('v6'), ALL)).length, 2);
  });

  historyTest('does not forget a tag that came back meanwhile', async (history) => {
    await write(history, 100, { events: [event('deleted')] });
    const [gone] = await history.listGone({ beforeMs: 100, after: null, limit: 1 });
    await write(history, 101, { events: [event('restored')] });
    assert.ok(gone !== undefined);
    await history.forgetTag(gone);
    assert.deepEqual(kinds(await history.listEvents(REPO, LATEST, ALL)), ['restored', 'deleted']);
    await write(history, 102, { events: [event('purged')] });
    await history.forgetTag(gone);
    assert.equal((await history.listEvents(REPO, LATEST, ALL)).length, 3);
  });
}

function holdCases(historyTest: Case): void {
  historyTest('knows what is held, for whom, and by which root', async (history) => {
    const layer = hold(100, { digest: TWO, sizeBytes: 50, mediaType: null });
    await write(history, 1, { holds: [hold(100), layer, { ...layer, root: TWO, sinceMs: 200 }] });
    assert.equal(await history.isHeld(REPO, TWO), true);
    assert.equal(await history.isHeld(OTHER, TWO), false);
    assert.equal(await history.findOtherRoot(REPO, ONE, ONE), null);
    assert.equal(await history.findOtherRoot(REPO, TWO, ONE), TWO);
    assert.deepEqual(await history.findHold(REPO, ONE), hold(100));
    assert.equal(await history.findHold(OTHER, ONE), null);
    const ofOne = await history.listHoldsOf(REPO, ONE, { after: '', limit: 10 });
    assert.deepEqual(new Set(ofOne.map((each) => each.digest)), new Set([ONE, TWO]));
    await history.removeHolds([layer]);
    assert.equal(await history.findOtherRoot(REPO, TWO, ONE), TWO);
    assert.equal(await history.findOtherRoot(REPO, TWO, TWO), null);
  });

  historyTest('lists holds by age, each once, and all that a repository holds', async (history) => {
    const holds = Array.from({ length: 11 }, (_, at) =>
      hold(100 + (at % 3), { digest: digest(`${at}`), sizeBytes: at, mediaType: null }),
    );
    await write(history, 1, { holds: [...holds, { ...(holds[0] as Hold), root: TWO }] });
    const seen: Hold[] = [];
    for (let after: Hold | null = null; ;) {
      const page: Hold[] = await history.listHolds({ beforeMs: 101, after, limit: 3 });
      seen.push(...page);
      after = page.at(-1) ?? null;
      if (after === null) break;
    }
    assert.equal(seen.length, 9);
    assert.ok(seen.every(({ sinceMs }, at) => sinceMs >= (seen[at - 1]?.sinceMs ?? 0)));
    const held: number[] = [];
    for (let after = ''; ;) {
      const page = await history.listHeld(REPO, { after, limit: 4 });
      held.push(...page.map(({ sizeBytes }) => sizeBytes));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.digest;
    }
    assert.deepEqual(
      held.toSorted((left, right) => left - right),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
  });

  historyTest('keeps the later time of a hold that is renewed, also against its removal', async (history) => {
    await write(history, 1, { holds: [hold(100, { mediaType: null })] });
    const [old] = await history.listHolds({ beforeMs: 500, after: null, limit: 1 });
    await write(history, 1, { holds: [hold(300), hold(200)] });
    assert.ok(old !== undefined);
    await history.removeHolds([old]);
    assert.deepEqual(await history.findHold(REPO, ONE), hold(300));
  });

  historyTest('takes a batch of many holds and events', async (history) => {
    const holds = Array.from({ length: 1300 }, (_, at) => hold(1, { digest: digest(`${at}`) }));
    const events = Array.from({ length: 700 }, (_, at) => event('deleted', { tag: parseTag(`t${at}`) }));
    await write(history, 5, { holds, events, durable: true });
    assert.equal((await history.listHoldsOf(REPO, ONE, { after: '', limit: 5000 })).length, 1300);
    assert.equal((await history.listGone({ beforeMs: 5, after: null, limit: 5000 })).length, 700);
  });
}

function clockCases(historyTest: Case): void {
  historyTest('moves its times with the clock', async (history) => {
    await write(history, 1000, { holds: [hold(1000)], events: [event('deleted')] });
    await history.shiftTimes(500);
    assert.deepEqual(await history.listHolds({ beforeMs: 1499, after: null, limit: 9 }), []);
    assert.deepEqual(await history.listGone({ beforeMs: 1499, after: null, limit: 9 }), []);
    await history.clampTimes(700);
    assert.equal((await history.listHolds({ beforeMs: 700, after: null, limit: 9 })).length, 1);
    assert.equal((await history.listGone({ beforeMs: 700, after: null, limit: 9 })).length, 1);
    assert.equal((await history.listEvents(REPO, LATEST, ALL))[0]?.atMs, 1000);
  });
}

function moveCases(historyTest: Case): void {
  historyTest('follows a repository to its new name, also when begun again', async (history) => {
    const tags = Array.from({ length: 600 }, (_, at) => parseTag(`v${at}`));
    await write(history, 10, { events: tags.map((tag) => event('created', { tag })), holds: [hold(5)] });
    await write(history, 11, { events: [event('deleted', { tag: parseTag('v1') })] });
    await write(history, 3, { events: [event('deleted', { repo: OTHER }), event('created')] });
    await history.forgetEvents(OTHER);
    assert.deepEqual(await history.listEvents(OTHER, LATEST, ALL), []);
    await history.moveRepository(REPO, OTHER);
    await history.moveRepository(REPO, OTHER);
    for (const tag of tags) assert.equal((await history.listEvents(REPO, tag, ALL)).length, 0);
    assert.deepEqual(kinds(await history.listEvents(OTHER, parseTag('v1'), ALL)), ['deleted', 'created']);
    assert.deepEqual(await history.listGone({ beforeMs: 99, after: null, limit: 9 }), [
      { repo: OTHER, tag: 'v1', sinceMs: 11 },
    ]);
    assert.equal(await history.isHeld(OTHER, ONE), true);
    assert.equal(await history.isHeld(REPO, ONE), false);
  });
}
