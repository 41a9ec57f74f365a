import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { INDEX_MIGRATIONS } from './index-schema.ts';
import { migrate, schemaVersion } from './migrations.ts';
import { RECORDS_MIGRATIONS } from './sqlite-records.ts';

/** Everything that a schema holds, as text. */
function schemaOf(db: DatabaseSync): string[] {
  const rows = db
    .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    .all();
  return rows.map(({ sql }) => String(sql).replace(/\s+/g, ' ')).toSorted();
}

describe('migrations', () => {
  test('of the index lead up to the newest version and down to nothing, step by step, any way', () => {
    const db = new DatabaseSync(':memory:');
    const seen: string[][] = [];
    for (let version = 0; version <= INDEX_MIGRATIONS.length; version += 1) {
      migrate(db, INDEX_MIGRATIONS, version);
      assert.equal(schemaVersion(db), version);
      seen.push(schemaOf(db));
    }
    for (let version = INDEX_MIGRATIONS.length; version >= 0; version -= 1) {
      migrate(db, INDEX_MIGRATIONS, version);
      assert.deepEqual(schemaOf(db), seen[version], `down to version ${version}`);
    }
    migrate(db, INDEX_MIGRATIONS);
    assert.deepEqual(schemaOf(db), seen.at(-1));
    db.close();
  });

  test('keep the rows of the version before', () => {
    const db = new DatabaseSync(':memory:');
    migrate(db, INDEX_MIGRATIONS, 1);
    db.exec("INSERT INTO blobs VALUES ('a', 'sha256:0', 7)");
    migrate(db, INDEX_MIGRATIONS);
    assert.equal(db.prepare('SELECT size_bytes FROM blobs').get()?.size_bytes, 7);
    migrate(db, INDEX_MIGRATIONS, 1);
    assert.equal(db.prepare('SELECT size_bytes FROM blobs').get()?.size_bytes, 7);
    db.close();
  });

  test('of the records never throw away what exists nowhere else', () => {
    const db = new DatabaseSync(':memory:');
    migrate(db, RECORDS_MIGRATIONS);
    assert.equal(schemaVersion(db), RECORDS_MIGRATIONS.length);
    assert.throws(() => migrate(db, RECORDS_MIGRATIONS, 0), /cannot be changed from version/);
    assert.ok(schemaVersion(db) >= 1);
    db.close();
  });

  test('that fail leave the version before them, whole', () => {
    const db = new DatabaseSync(':memory:');
    const steps = [
      { up: 'CREATE TABLE a (x INTEGER)' },
      { up: 'CREATE TABLE b (x INTEGER); SELECT nonsense' },
    ];
    assert.throws(() => migrate(db, steps), /nonsense/);
    assert.equal(schemaVersion(db), 1);
    assert.deepEqual(schemaOf(db), ['CREATE TABLE a (x INTEGER)']);
    assert.equal(db.isTransaction, false);
    migrate(db, [...steps.slice(0, 1), { up: 'CREATE TABLE b (y INTEGER)' }]);
    assert.equal(schemaVersion(db), 2);
    db.close();
  });
});
