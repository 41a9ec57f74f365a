import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepareAll } from './prepared.ts';
import type { Prepared } from './prepared.ts';

test('all parts commit together, or each gives up and the first reason is told', async () => {
  const seen: string[] = [];
  const part = (name: string, refusal?: Error) => async (): Promise<Prepared> => {
    if (refusal !== undefined) throw refusal;
    return {
      commit: async () => void seen.push(`commit ${name}`),
      discard: async () => void seen.push(`discard ${name}`),
    };
  };
  await (await prepareAll([part('a'), part('b')])).commit();
  assert.deepEqual(seen.splice(0), ['commit a', 'commit b']);
  const refusal = new Error('no');
  await assert.rejects(prepareAll([part('a'), part('b', refusal), part('c')]), refusal);
  assert.deepEqual(seen, ['discard a', 'discard c']);
});
