import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { rootFolder } from './build/paths.ts';

describe('the closing line of npm test', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-totals-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs node's test runner with the reporter over one file, or over a pattern that finds none. */
  function run(source: string | null): { status: number | null; last: string; stdout: string } {
    if (source !== null)
      writeFileSync(join(folder, 'sample.test.mjs'), `import test from 'node:test';\n${source}`);
    const pattern = source === null ? 'nothing-*.test.mjs' : 'sample.test.mjs';
    const reporter = join(rootFolder, 'tools/test-totals.ts');
    // A test runner inside a test runner would report to the outer one.
    const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
    const { status, stdout } = spawnSync(
      process.execPath,
      ['--test', `--test-reporter=${reporter}`, pattern],
      {
        cwd: folder,
        env,
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    return { status, last: stdout.trimEnd().split('\n').at(-1) ?? '', stdout };
  }

  test('counts what passed and was skipped, and says why it was skipped', () => {
    const { status, last, stdout } = run(
      `test('a', () => {});\ntest('b', { skip: 'no such tool' }, () => {});`,
    );
    assert.equal(status, 0);
    assert.equal(last, '1 passed, 0 failed, 1 skipped');
    assert.match(stdout, /^skipped: b: no such tool$/m);
  });

  test('counts failures, and the run fails', () => {
    const { status, last } = run(`test('a', () => {});\ntest('b', () => { throw new Error('no'); });`);
    assert.equal(status, 1);
    assert.equal(last, '1 passed, 1 failed, 0 skipped');
  });

  test('a file that cannot be read in is a failure', () => {
    const { status, last } = run(`throw new Error('not even one test');`);
    assert.equal(status, 1);
    assert.equal(last, '0 passed, 1 failed, 0 skipped');
  });

  test('a run without a test fails', () => {
    const { status, last, stdout } = run(null);
    assert.equal(status, 1);
    assert.equal(last, '0 passed, 1 failed');
    assert.match(stdout, /no test was run/);
  });
});
