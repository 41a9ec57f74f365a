import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { databaseFault } from './database-fault.ts';

function faultOf(work: (db: DatabaseSync) => void): unknown {
  const db = new DatabaseSync(':memory:');
  try {
    work(db);
    return 'no error';
  } catch (error) {
    return databaseFault(error);
  } finally {
    db.close();
  }
}

test('a database that may not grow is full', () => {
  const fault = faultOf((db) => {
    db.exec('PRAGMA max_page_count = 2; CREATE TABLE t (b BLOB);');
    db.exec('INSERT INTO t VALUES (zeroblob(1000000))');
  });
  assert.equal(fault, 'full');
});

test('mistakes and other errors are no faults of a database', () => {
  assert.equal(
    faultOf((db) => db.exec('SELECT nonsense FROM nowhere')),
    null,
  );
  assert.equal(databaseFault(new Error('something else')), null);
  assert.equal(databaseFault('text'), null);
});

test('codes are told apart by their primary part', () => {
  const coded = (errcode: number): Error => Object.assign(new Error('coded'), { errcode });
  assert.equal(databaseFault(coded(11)), 'damaged');
  assert.equal(databaseFault(coded(26)), 'damaged');
  assert.equal(databaseFault(coded(5 | (1 << 8))), 'unavailable');
  assert.equal(databaseFault(coded(10 | (3 << 8))), 'unavailable');
  assert.equal(databaseFault(coded(10 | (19 << 8))), 'full');
});
