import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIGEST_ALGORITHMS, digestOf } from '#oci/digest';
import { inDigestOrder } from './digest-order.ts';

test('items come in the order of their digests, few or many, of all algorithms', async () => {
  for (const count of [0, 1, 2, 100, 4000, 4001, 20_000]) {
    const items = Array.from({ length: count }, (_, at) => {
      const algorithm = DIGEST_ALGORITHMS[at % 3] ?? 'sha256';
      return { digest: digestOf(Buffer.from(`${at % 15_000}`), algorithm) };
    });
    const sorted = await inDigestOrder(items, ({ digest }) => digest);
    assert.deepEqual(
      sorted.map(({ digest }) => digest),
      items.map(({ digest }) => digest).toSorted(),
    );
  }
});
