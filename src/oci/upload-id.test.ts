import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isUploadId, newUploadId, parseUploadId } from './upload-id.ts';

describe('an upload id', () => {
  test('is new each time and read back', () => {
    const ids = Array.from({ length: 1000 }, newUploadId);
    assert.equal(new Set(ids).size, 1000);
    for (const id of ids) assert.equal(parseUploadId(id), id);
  });

  test('of any other form is an upload that nobody knows', () => {
    const id = newUploadId();
    const wrong = [
      '',
      `${id}\n`,
      `../${id}`,
      id.toUpperCase().replace(/\d/g, 'A'),
      id.slice(1),
      `${id}0`,
      '.stage-a',
    ];
    for (const text of wrong) assert.equal(isUploadId(text), false, JSON.stringify(text));
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[0-9a-f-]{30,40}$/)),
        (text) => {
          if (isUploadId(text)) return;
          assert.throws(() => parseUploadId(text), {
            name: 'RegistryError',
            code: 'BLOB_UPLOAD_UNKNOWN',
            status: 404,
          });
        },
      ),
    );
  });
});
