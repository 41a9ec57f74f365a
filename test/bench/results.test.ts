import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './goals.ts';
import { goalTable, table } from './report.ts';
import { rowOf, withRatios, type Row, type TurnResult } from './results.ts';
import { median, quantile } from './statistics.ts';

function turn(ops: number, cpuSeconds: number): TurnResult {
  return {
    outcome: {
      ops,
      bytes: ops * 1_000_000,
      elapsedMs: 1000,
      latenciesMs: new Float64Array(ops).fill(2),
      failures: 0,
      firstFailure: null,
      clientCpuSeconds: 0.5,
    },
    server: { cpuSeconds, writtenBytes: ops * 10, peakRssBytes: 9, privateBytes: 5, growthBytes: 1 },
  };
}

test('quantiles and medians', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([5, 1, 4, 2, 3], 0.99), 5);
  assert.equal(quantile([5, 1, 4, 2, 3], 0.5), 3);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('one disturbed turn does not move rates and costs', () => {
  const row = rowOf('s', 'c', 'zot', [turn(100, 1), turn(100, 1), turn(3, 1)]);
  assert.equal(row.opsPerSecond, 100);
  assert.equal(row.cpuMsPerOp, 10);
  assert.equal(row.cpuSecondsPerGb, 10);
  assert.equal(row.mbPerSecond, 100);
  assert.equal(row.ops, 203);
});

test('a turn in which everything failed is shown as such', () => {
  const failed = turn(0, 1);
  const outcome = { ...failed.outcome, failures: 3, firstFailure: 'refused' };
  const text = table([rowOf('s', 'c', 'zot', [{ ...failed, outcome }])]);
  assert.match(text, /FAILED 3 times: c, zot: refused/);
});

/** Rows of the manifest scenario with so much CPU per 100 requests for ours and the reference. */
function manifestRows(ours: number, theirs: number): Row[] {
  const name = 'by tag, 8 clients';
  const rows = [
    rowOf('manifest-get', name, 'zot', [turn(100, ours)]),
    rowOf('manifest-get', name, 'docker-registry', [turn(100, theirs)]),
  ];
  return withRatios(rows, 'docker-registry');
}

test('ratios are those to the reference, and goals say whether they are met', () => {
  assert.equal(manifestRows(0.1, 1)[0]?.cpuRatio, 0.1);
  assert.equal(manifestRows(0.1, 1)[1]?.cpuRatio, null);
  assert.deepEqual(
    judge(manifestRows(0.1, 1)).map(({ met }) => met),
    [true],
  );
  assert.deepEqual(
    judge(manifestRows(0.2, 1)).map(({ met }) => met),
    [false],
  );
  assert.match(
    goalTable(judge(manifestRows(0.2, 1))),
    /MISSED.*manifest-get[^]*5\.00 times[^]*0 of 1 goals met/,
  );
  assert.deepEqual(judge([]), []);
});
