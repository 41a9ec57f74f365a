import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERROR_TABLE, RegistryError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

describe('the table of errors', () => {
  test('has every code of the distribution specification', () => {
    const specified = [
      'BLOB_UNKNOWN',
      'BLOB_UPLOAD_INVALID',
      'BLOB_UPLOAD_UNKNOWN',
      'DIGEST_INVALID',
      'MANIFEST_BLOB_UNKNOWN',
      'MANIFEST_INVALID',
      'MANIFEST_UNKNOWN',
      'NAME_INVALID',
      'NAME_UNKNOWN',
      'SIZE_INVALID',
      'UNAUTHORIZED',
      'DENIED',
      'UNSUPPORTED',
      'TOOMANYREQUESTS',
    ];
    for (const code of specified) assert.ok(Object.hasOwn(ERROR_TABLE, code), code);
  });

  test('has codes of upper case letters, statuses of errors and messages', () => {
    for (const [code, { status, message }] of Object.entries(ERROR_TABLE)) {
      assert.match(code, /^[A-Z][A-Z_]+$/);
      assert.ok(status >= 400 && status < 600, code);
      assert.ok(message.length > 5 && message.length < 100, code);
    }
  });

  test('gives an error its status and message, which one place may replace', () => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      const error = new RegistryError(code);
      assert.deepEqual(
        [error.code, error.status, error.message],
        [code, ERROR_TABLE[code].status, ERROR_TABLE[code].message],
      );
      assert.deepEqual(
        [error.detail, error.retryAfterSeconds, error.cause],
        [undefined, undefined, undefined],
      );
    }
    const cause = new Error('why');
    const error = new RegistryError('DENIED', {
      status: 405,
      message: 'no',
      retryAfterSeconds: 3,
      cause,
      detail: { a: 1 },
    });
    assert.deepEqual(
      [error.name, error.status, error.message, error.retryAfterSeconds, error.cause, error.detail],
      ['RegistryError', 405, 'no', 3, cause, { a: 1 }],
    );
  });
});
