import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { blobOf } from './content.ts';
import { imageOf } from './image.ts';

test('blobs have the size and the digest that they claim', () => {
  for (const sizeBytes of [0, 1, 63, 64, 65, 4096, 3 * 1024 * 1024]) {
    const blob = blobOf(sizeBytes, 'a');
    const bytes = Buffer.concat(blob.parts);
    assert.equal(bytes.length, sizeBytes);
    assert.equal(blob.digest, `sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  }
});

test('the name decides the content', () => {
  assert.equal(blobOf(4096, 'a').digest, blobOf(4096, 'a').digest);
  assert.notEqual(blobOf(4096, 'a').digest, blobOf(4096, 'b').digest);
});

test('a note makes another manifest over the same blobs', () => {
  const [plain, noted] = [
    imageOf('a', { layerSizesBytes: [64] }),
    imageOf('a', { layerSizesBytes: [64] }, 'note'),
  ];
  assert.deepEqual(
    plain.blobs.map(({ digest }) => digest),
    noted.blobs.map(({ digest }) => digest),
  );
  assert.notEqual(plain.manifest.digest, noted.manifest.digest);
});
