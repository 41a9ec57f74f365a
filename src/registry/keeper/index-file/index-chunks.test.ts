import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IndexChunks } from './index-chunks.ts';

/** Enough to fill several chunks. */
const many = 1000;
const textOf = (at: number): string => JSON.stringify({ at, pad: 'x'.repeat(at % 7) });

const parse = (chunks: IndexChunks, head = '', unreadable: readonly string[] = []): unknown =>
  JSON.parse(Buffer.concat(chunks.file(head, unreadable)).toString());

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number };

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.nat({ max: 400 }) }),
    fc.record({
      kind: fc.constant('remove' as const),
      at: fc.nat(),
      count: fc.integer({ min: 0, max: 700 }),
    }),
  ),
  { maxLength: 40 },
);

test('the file is that of a plain list, whatever is appended and removed', () => {
  fc.assert(
    fc.property(steps, (list: readonly Step[]) => {
      const chunks = new IndexChunks();
      const model: { position: number; json: string }[] = [];
      let made = 0;
      for (const step of list) {
        if (step.kind === 'append') {
          const texts = Array.from({ length: step.count }, () => textOf((made += 1)));
          const positions = chunks.append(texts);
          for (const [at, json] of texts.entries()) model.push({ position: positions[at] ?? -1, json });
        } else if (model.length > 0) {
          const removed = model.splice(step.at % model.length, step.count);
          chunks.remove(removed.map(({ position }) => position));
        }
      }
      const manifests = model.map(({ json }) => JSON.parse(json) as unknown);
      assert.deepEqual(parse(chunks), { schemaVersion: 2, manifests });
      assert.ok(model.every(({ position }, at) => at === 0 || position > (model[at - 1]?.position ?? -1)));
      const bytes = chunks.file('', []).reduce((sum, piece) => sum + piece.length, 0);
      assert.ok(chunks.sizeBytes <= bytes && chunks.sizeBytes >= bytes - 100 - manifests.length);
    }),
    { numRuns: 60 },
  );
});

test('members of the head and descriptors that nobody can read stay', () => {
  const chunks = new IndexChunks();
  const head = '{"schemaVersion":2,"annotations":{"a":"b"}';
  assert.deepEqual(parse(chunks, head, ['null', '{"x":1}']), {
    schemaVersion: 2,
    annotations: { a: 'b' },
    manifests: [null, { x: 1 }],
  });
  chunks.append([textOf(1)]);
  assert.deepEqual((parse(chunks, head, ['null']) as { manifests: unknown[] }).manifests, [
    { at: 1, pad: 'x' },
    null,
  ]);
});

test('a position that is not there is a bug that is noticed', () => {
  const chunks = new IndexChunks();
  assert.throws(() => chunks.remove([0]));
  const [first = -1] = chunks.append([textOf(1)]);
  chunks.remove([first]);
  assert.throws(() => chunks.remove([first]));
});

test('a change at the end of a long file serialises no more than one chunk', () => {
  const chunks = new IndexChunks();
  chunks.append(Array.from({ length: many }, (_, at) => textOf(at)));
  const before = chunks.file('', []);
  chunks.append([textOf(many)]);
  const after = chunks.file('', []);
  const kept = before.filter((piece) => after.includes(piece) && piece.length > 100);
  assert.ok(kept.length >= Math.floor(many / 256), String(kept.length));
});
