import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { BoltFile } from './bolt-file.ts';
import { readFields } from './protobuf.ts';
import { TransferRefusal } from './refusal.ts';
import { ZotDatabase } from './zot-database.ts';
import type { ZotRepository, ZotUser } from './zot-database.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-bolt-'));
after(() => rmSync(folder, { recursive: true }));

/** A database that bbolt itself wrote. */
function sample(name: string): Buffer {
  const file = path.join(import.meta.dirname, '../../test/support/zot-databases', `${name}.db.gz`);
  return gunzipSync(readFileSync(file));
}

interface All {
  readonly users: ZotUser[];
  readonly repositories: ZotRepository[];
  readonly problems: string[];
}

function readAll(bytes: Buffer): All {
  const file = path.join(folder, 'meta.db');
  writeFileSync(file, bytes);
  const problems: string[] = [];
  const note = (what: string, why: string): void => void problems.push(`${what}: ${why}`);
  const database = new ZotDatabase(file);
  try {
    return { users: [...database.users(note)], repositories: [...database.repositories(note)], problems };
  } finally {
    database.close();
  }
}

test('a database of zot is read: keys, groups, counts and times', () => {
  const { users, repositories, problems } = readAll(sample('three-users'));
  assert.deepEqual(problems, []);
  assert.deepEqual(
    users.map(({ name, groups, starred, bookmarked }) => [name, groups, starred, bookmarked]),
    ['user0', 'user1', 'user2'].map((name) => [name, ['dev', 'ops'], ['team/app'], []]),
  );
  const [[first], [second], [third]] = users.map(({ keys }) => keys) as [
    ZotUser['keys'],
    ZotUser['keys'],
    ZotUser['keys'],
  ];
  assert.deepEqual(first, {
    hash: '84e0c0eafaa95a34c293f278ac52e45ce537bab5e752a00e6959a13ae103b65a',
    uuid: '00000000-0000-4000-8000-000000000000',
    label: 'key of user0',
    scopes: [],
    createdMs: Date.parse('2025-01-02T03:04:05.678Z'),
    expiresMs: null,
    lastUsedMs: Date.parse('2025-06-07T08:09:10Z'),
    creatorUserAgent: 'curl/8',
    generatedBy: 'manual',
  });
  assert.equal(second?.expiresMs, Date.parse('2031-02-03T04:05:06Z'));
  assert.deepEqual(third?.scopes, ['repository:team/**:pull']);
  const digest = 'sha256:a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
  assert.deepEqual(repositories, [
    {
      repo: 'team/app',
      manifests: [
        {
          digest,
          pulls: 42,
          lastPullMs: 1_750_000_000_500,
          firstPushMs: 1_740_000_000_000,
          pushedBy: 'user0',
        },
      ],
      tags: [{ tag: 'v1', sinceMs: 1_741_000_000_000 }],
    },
  ]);
});

test('a database of several pages is read to the end, in order', () => {
  const { users } = readAll(sample('sixty-users'));
  assert.deepEqual(
    users.map(({ name }) => name),
    Array.from({ length: 60 }, (_, at) => `user${at}`).sort(),
  );
});

test('of the two first pages the one with the later transaction holds, and the other may be lost', () => {
  const bytes = sample('three-users');
  bytes.fill(0, 4096, 8192);
  assert.equal(readAll(bytes).users.length, 3);
  // The earlier one is of the time before anything was in it.
  const earlier = sample('three-users');
  earlier.fill(0, 0, 4096);
  assert.throws(() => readAll(earlier), /it says no version/);
});

test('files of another kind are refused', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(100_000), Buffer.from('SQLite format 3\0'.repeat(1000))])
    assert.throws(() => readAll(bytes), /this is no BoltDB file/);
});

test('whatever is changed in a database, it is read or refused, and soon', () => {
  const whole = sample('sixty-users');
  const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), fc.nat(whole.length), (changes, cut) => {
      const bytes = Buffer.from(whole);
      for (const { at, to } of changes) bytes[at] = to;
      try {
        readAll(cut % 4 === 0 ? bytes.subarray(0, cut) : bytes);
      } catch (error) {
        assert.ok(error instanceof TransferRefusal, String(error));
      }
    }),
    { numRuns: 200 },
  );
});

test('pages that lead back to themselves are refused', () => {
  const bytes = sample('sixty-users');
  for (let page = 2; page * 4096 < bytes.length; page += 1) {
    const at = page * 4096;
    if ((bytes.readUInt16LE(at + 8) & 1) === 0) continue;
    const count = bytes.readUInt16LE(at + 10);
    for (let element = 0; element < count; element += 1)
      bytes.writeBigUInt64LE(BigInt(page), at + 16 + element * 16 + 8);
  }
  assert.throws(() => readAll(bytes), /damaged/);
});

test('random bytes are a message or are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        readFields(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof TransferRefusal, String(error));
      }
    }),
  );
});

test('a bucket that is not there is empty', () => {
  const file = path.join(folder, 'meta.db');
  writeFileSync(file, sample('three-users'));
  const bolt = new BoltFile(file);
  assert.deepEqual([...bolt.entries('Nothing')], []);
  bolt.close();
});
