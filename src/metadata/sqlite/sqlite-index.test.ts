import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { damageContract, damagedIndexContract } from '../damage-contract.suite.ts';
import { garbageContract } from '../garbage-contract.suite.ts';
import { indexContract } from '../index-contract.suite.ts';
import type { OpenedIndex } from '../index-contract.suite.ts';
import { quotaContract } from '../quota-contract.suite.ts';
import { indexSizeContract } from '../index-size.suite.ts';
import { entry, image, snapshot } from '../index-samples.suite.ts';
import type { IndexReader } from '../index-contract.ts';
import { openIndexForReading, openIndexForWriting } from '../metadata.ts';
import { SqliteIndexWriter } from './index-writer.ts';
import { INDEX_MIGRATIONS } from './index-schema.ts';
import { migrate } from './migrations.ts';

async function open(): Promise<OpenedIndex> {
  const folder = await mkdtemp(join(tmpdir(), 'zot-index-'));
  const writer = openIndexForWriting(folder, assert.fail);
  const readers: IndexReader[] = [];
  return {
    writer,
    openReader: async () => {
      const reader = openIndexForReading(folder);
      readers.push(reader);
      return reader;
    },
    close: async () => {
      for (const opened of [...readers, writer]) await opened.close();
      await rm(folder, { recursive: true });
    },
  };
}

indexContract('SQLite', open);
garbageContract('SQLite', open);
quotaContract('SQLite', open);
indexSizeContract('SQLite', open);
damagedIndexContract('SQLite', open);
damageContract('SQLite index', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zot-index-'));
  let damage = openIndexForWriting(folder, assert.fail);
  const reader = openIndexForReading(folder);
  return {
    damage,
    reader,
    reopen: async () => {
      await damage.close();
      damage = openIndexForWriting(folder, assert.fail);
      return damage;
    },
    close: async () => {
      await Promise.all([damage.close(), reader.close()]);
      await rm(folder, { recursive: true });
    },
  };
});

describe('the tables of the index', () => {
  const openTables = (): DatabaseSync => {
    const db = new DatabaseSync(':memory:');
    migrate(db, INDEX_MIGRATIONS);
    return db;
  };

  test('are asked by an index that names every column of the question', () => {
    const db = openTables();
    const statements: string[] = [];
    const prepare = db.prepare.bind(db);
    db.prepare = (sql) => {
      statements.push(sql);
      return prepare(sql);
    };
    const writer = new SqliteIndexWriter(db);
    assert.ok(statements.length > 20);
    // Whole repositories are read only to be removed or copied, slice by slice; their tombstones when read again.
    const wholesale = /^DELETE FROM (blobs WHERE repo = \?$|tombstones WHERE repo = \?1)|LIMIT \?2\)$/;
    for (const sql of statements.filter((text) => !wholesale.test(text))) {
      const plan = prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => String(detail));
      for (const step of plan) {
        assert.doesNotMatch(step, /^SCAN (?!json_each|CONSTANT)/, `${sql}\n${plan.join('\n')}`);
        assert.doesNotMatch(step, /\(repo=\?\)$/, `${sql}\n${plan.join('\n')}`);
        assert.doesNotMatch(step, /TEMP B-TREE FOR ORDER BY/, `${sql}\n${plan.join('\n')}`);
      }
    }
    return writer.close();
  });

  test('keep nothing of a repository that a crash left half filled or half emptied', async () => {
    const db = openTables();
    const writer = new SqliteIndexWriter(db);
    const manifest = image('one');
    await writer.replaceRepository(snapshot({ entries: [entry(0, manifest, 'v1')], manifests: [manifest] }));
    db.exec(`UPDATE repositories SET name = NULL`);
    const again = new SqliteIndexWriter(db);
    const rows = ['repositories', 'entries', 'manifests', 'refs'].map(
      (table) => db.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows,
    );
    assert.deepEqual(rows, [0, 0, 0, 0]);
    await again.close();
  });

  test('leave nothing behind when a repository is replaced, in vain or not, or removed', async () => {
    const db = openTables();
    const writer = new SqliteIndexWriter(db);
    const manifest = image('one');
    const sound = snapshot({ entries: [entry(0, manifest, 'v1')], manifests: [manifest] });
    for (let round = 0; round < 3; round += 1) {
      await writer.replaceRepository(sound);
      const clash = [entry(0, manifest, 'a'), entry(0, manifest, 'b')];
      await assert.rejects(writer.replaceRepository({ ...sound, entries: clash }));
    }
    const count = (table: string) => db.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows;
    assert.deepEqual(['repositories', 'entries', 'manifests', 'refs'].map(count), [1, 1, 1, 2]);
    await writer.removeRepository(sound.repo);
    assert.deepEqual(['repositories', 'entries', 'manifests', 'refs'].map(count), [0, 0, 0, 0]);
    await writer.close();
  });
});
