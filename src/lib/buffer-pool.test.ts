import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BufferPool } from './buffer-pool.ts';

const MIB = 1024 * 1024;

describe('a pool of buffers', () => {
  test('gives the same memory again', () => {
    const pool = new BufferPool();
    const first = pool.take();
    assert.equal(first.length, MIB);
    pool.give(first);
    assert.equal(pool.take(), first);
    assert.notEqual(pool.take(), first);
  });

  test('gives no more than is needed where less will do', () => {
    const pool = new BufferPool();
    for (const needed of [0, 1, 1000, MIB - 1]) {
      const buffer = pool.take(needed);
      assert.equal(buffer.length, needed);
      pool.give(buffer);
    }
    assert.equal(pool.take(5 * MIB).length, MIB);
  });

  test('gives smaller buffers the more are in use, and large ones when they are back', () => {
    const pool = new BufferPool();
    const taken = Array.from({ length: 200 }, () => pool.take());
    const sizes = taken.map(({ length }) => length / 1024);
    assert.deepEqual([sizes[31], sizes[32], sizes[127], sizes[128], sizes[199]], [1024, 256, 256, 64, 64]);
    for (const buffer of taken) pool.give(buffer);
    assert.equal(pool.take().length, MIB);
  });

  test('keeps at most 16 MiB for later', () => {
    const pool = new BufferPool();
    const taken = Array.from({ length: 30 }, () => pool.take());
    for (const buffer of taken) pool.give(buffer);
    const again = Array.from({ length: 30 }, () => pool.take());
    assert.equal(again.filter((buffer) => taken.includes(buffer)).length, 16);
  });
});
