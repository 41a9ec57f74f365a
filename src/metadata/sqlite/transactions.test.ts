import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Transactions } from './transactions.ts';

describe('transactions', () => {
  let folder: string;
  let db: DatabaseSync;
  let reader: DatabaseSync;
  let transactions: Transactions;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-transactions-'));
    db = new DatabaseSync(join(folder, 'index.db'));
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE rows (value TEXT UNIQUE)');
    reader = new DatabaseSync(join(folder, 'index.db'), { readOnly: true });
    transactions = new Transactions(db);
  });
  afterEach(async () => {
    reader.close();
    db.close();
    await rm(folder, { recursive: true });
  });

  const count = (): number => Number(reader.prepare('SELECT count(*) AS n FROM rows').get()?.n);
  const add = (...values: string[]): void =>
    transactions.run(() => {
      for (const value of values) db.prepare('INSERT INTO rows VALUES (?)').run(value);
    });

  test('alone are seen at once, or not at all', () => {
    add('a');
    assert.equal(count(), 1);
    assert.throws(() => add('b', 'a'), /UNIQUE/);
    assert.equal(count(), 1);
  });

  test('in bulk are seen together at the end, at the latest; one that throws takes no other with it', async () => {
    const seen: number[] = [];
    const result = await transactions.inBulk(async () => {
      add('a');
      assert.throws(() => add('b', 'a'), /UNIQUE/);
      add('c');
      seen.push(count());
      for (let at = 0; at < 998; at += 1) add(`row ${at}`);
      seen.push(count());
      add('last');
      return 'done';
    });
    assert.equal(result, 'done');
    assert.deepEqual(seen, [0, 1000]);
    assert.equal(count(), 1001);
    add('afterwards');
    assert.equal(count(), 1002);
  });

  test('in bulk are kept when the work throws after them', async () => {
    const work = async (): Promise<void> => {
      add('a');
      throw new Error('no more');
    };
    await assert.rejects(transactions.inBulk(work), /no more/);
    assert.equal(count(), 1);
    assert.equal(db.isTransaction, false);
  });

  test('in bulk on a full disk: it is said that some are lost', async () => {
    db.exec('PRAGMA max_page_count = 20');
    let refused = 0;
    const work = async (): Promise<void> => {
      for (let at = 0; at < 100; at += 1) {
        try {
          add(`${at} ${'x'.repeat(2000)}`);
        } catch {
          refused += 1;
        }
      }
    };
    await assert.rejects(transactions.inBulk(work), /full/);
    assert.ok(refused > 0);
    db.exec('PRAGMA max_page_count = 1000000');
    add('again');
    assert.equal(db.isTransaction, false);
  });
});
