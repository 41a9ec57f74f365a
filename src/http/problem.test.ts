import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RegistryError } from '#oci/errors';
import { StorageError } from '#registry';
import { ClientGone } from './body.ts';
import { problemBody, problemOf } from './problem.ts';

describe('an error as it is answered', () => {
  test('a refusal keeps its code, status, message and detail, and needs no line in the log', () => {
    const problem = problemOf(
      new RegistryError('MANIFEST_INVALID', { status: 413, detail: { reason: 'large' } }),
    );
    assert.deepEqual([problem.status, problem.code, problem.cause], [413, 'MANIFEST_INVALID', null]);
    assert.deepEqual(problem.detail, { description: 'manifest invalid', reason: 'large' });
  });

  test('faults of the storage become answers that say nothing of paths', () => {
    const cases: readonly [StorageError['fault'], number][] = [
      ['missing', 503],
      ['exists', 400],
      ['full', 507],
      ['denied', 503],
      ['unavailable', 503],
      ['corrupt', 500],
      ['invalid', 400],
      ['conflict', 503],
    ];
    for (const [fault, status] of cases) {
      const error = new StorageError(fault, 'secret/path');
      const problem = problemOf(error);
      assert.equal(problem.status, status, fault);
      assert.equal(problem.cause, error);
      assert.ok(!JSON.stringify({ ...problem, cause: null }).includes('secret'));
      if (status === 503 || status === 507) assert.ok(Number(problem.retryAfterSeconds) > 0);
    }
  });

  test('what nobody expected is 500, told to the log alone', () => {
    const error = new Error('password=123');
    for (const thrown of [error, 'text', null, undefined, 7, { statusCode: 200 }]) {
      const problem = problemOf(thrown);
      assert.deepEqual([problem.status, problem.code], [500, 'INTERNAL']);
      assert.equal(problem.cause, thrown);
    }
    assert.ok(!problemBody(problemOf(error)).includes('123'));
  });

  test('a client that left, and what the framework blames on the client, are 4xx', () => {
    assert.equal(problemOf(new ClientGone('gone')).status, 400);
    assert.equal(problemOf(Object.assign(new Error('bad url'), { statusCode: 414 })).status, 414);
    assert.equal(problemOf(Object.assign(new Error('odd'), { statusCode: 500 })).code, 'INTERNAL');
  });

  test('the body is JSON of the specification’s form, and no browser reads it as markup', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (message, value) => {
        const body = problemBody({ code: 'X', message, detail: { value } });
        assert.deepEqual(JSON.parse(body), { errors: [{ code: 'X', message, detail: { value } }] });
        assert.doesNotMatch(body, /[<>&]/);
      }),
    );
  });
});
