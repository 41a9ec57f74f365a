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
  function run(
    source: string | null,
    flags: readonly string[] = [],
  ): { status: number | null; last: string; stdout: string } {
    if (source !== null)
      writeFileSync(join(folder, 'sample.test.mjs'), `import test from 'node:test';\n${source}`);
    const pattern = source === null ? 'nothing-*.test.mjs' : 'sample.test.mjs';
    const reporter = join(rootFolder, 'tools/test-totals.ts');
    // A test runner inside a test runner would report to the outer one.
    const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
    const { status, stdout } = spawnSync(
      process.execPath,
      ['--test', ...flags, `--test-reporter=${reporter}`, pattern],
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

  test('a secret that a test used and a server wrote down is a failure', () => {
    const secrets = join(rootFolder, 'test/support/secrets');
    const flags = [`--test-global-setup=${secrets}/setup.ts`, `--import=${secrets}/preload.ts`];
    const runWriting = (written: string): ReturnType<typeof run> =>
      run(
        `import { keepOutput } from '${secrets}/traces.ts';
        import { createServer } from 'node:http';
        test('asks', async () => {
          const server = createServer((request, response) => response.end());
          await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
          const authorization = 'Basic ' + Buffer.from('alice:a-password-of-alice').toString('base64');
          const url = 'http://127.0.0.1:' + server.address().port;
          await (await fetch(url, { headers: { authorization } })).arrayBuffer();
          keepOutput(${JSON.stringify(written)});
          server.closeAllConnections();
          server.close();
        });`,
        flags,
      );
    const clean = runWriting('alice signed in');
    assert.equal(clean.status, 0, clean.stdout);
    assert.match(clean.stdout, /^looked for 2 secrets .*: none found$/m);
    assert.equal(clean.last, '2 passed, 0 failed, 0 skipped');
    const leaking = runWriting('{"user":"alice","note":"a-password-of-alice"}');
    assert.equal(leaking.status, 1);
    assert.match(leaking.stdout, /^ {2}.*"note":"<secret of 19 bytes>"/m);
    assert.equal(leaking.last, '1 passed, 1 failed, 0 skipped');
  });

  test('a run without a test fails', () => {
    const { status, last, stdout } = run(null);
    assert.equal(status, 1);
    assert.equal(last, '0 passed, 1 failed');
    assert.match(stdout, /no test was run/);
  });
});
