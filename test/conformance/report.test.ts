import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, summaryTable } from './report.ts';

const apis = { 'Blob get': 'Pass', 'Blob push': 'Pass', 'Tag listing': 'Pass', 'Tag delete': 'Pass' };

test('a sound run has no problems', () => {
  const cases = [{ name: 'a', status: 'passed', reason: '', exchange: '' }] as const;
  const summary = { apis, data: { Image: 'Pass', 'Sparse Manifests': 'Disabled' } };
  assert.deepEqual(judge(cases, summary), { passed: 1, failed: 0, skipped: 0, problems: [] });
  assert.match(summaryTable(summary), /^Pull\n {2}Blob get\.+ Pass\nPush\n.*\nContent discovery\n/);
});

test('a failure, a skipped case and a skipped endpoint are each a problem', () => {
  const cases = [
    { name: 'a', status: 'failed', reason: 'got 500', exchange: 'GET /' },
    { name: 'b', status: 'skipped', reason: 'unsupported', exchange: '' },
  ] as const;
  const verdict = judge(cases, { apis: { ...apis, Referrers: 'Skip' }, data: {} });
  assert.equal(verdict.failed, 1);
  assert.equal(verdict.skipped, 1);
  assert.deepEqual(
    verdict.problems.map((problem) => problem.split('\n')[0]),
    ['FAILED  a', 'SKIPPED b', 'SKIPPED Referrers: the suite says "Skip"'],
  );
});

test('a run that left out a workflow cannot pass', () => {
  assert.throws(
    () => summaryTable({ apis: { 'Blob get': 'Pass' }, data: {} }),
    /nothing of the workflow Push/,
  );
});
