import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#oci/digest';
import { openKeeper } from '../../../../test/support/opened-keeper.ts';
import { TagHistory } from './tag-history.ts';
import { NO_TAG_RULES } from './tag-rules.ts';

test('a fault of the records that passes is not remembered', async () => {
  const opened = await openKeeper();
  try {
    const fault = new Error('disk I/O error');
    let isBroken = true;
    // The records themselves, but for look-ups while the disk does not answer.
    const history = new Proxy(opened.records.history, {
      get: (records, name) => {
        const value: unknown = Reflect.get(records, name);
        if (typeof value !== 'function') return value;
        return (...all: unknown[]): unknown =>
          isBroken ? Promise.reject(fault) : Reflect.apply(value, records, all);
      },
    });
    const tags = new TagHistory(history);
    const digest = digestOf(Buffer.from('anything'));
    const keeping = { ...NO_TAG_RULES, undoMs: () => 1000, shortestUndoMs: 1000 };
    await assert.rejects(tags.mayHold(opened.repo), fault);
    tags.use(keeping);
    await assert.rejects(tags.isInDoubt(opened.repo), fault);
    tags.use(NO_TAG_RULES);
    await assert.rejects(tags.isHeld(opened.repo, digest), fault);
    isBroken = false;
    assert.equal(await tags.isHeld(opened.repo, digest), false);
    tags.use(keeping);
    assert.equal(await tags.isInDoubt(opened.repo), false);
  } finally {
    await opened.close();
  }
});
