import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { rootFolder } from './build/paths.ts';

describe('the check before npm start', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-runtime-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the check with a `node` on the PATH that is this shell script, or with none. */
  function checkWith(script: string | null): { status: number | null; stderr: string; stdout: string } {
    const node = join(folder, 'node');
    rmSync(node, { force: true });
    if (script !== null) {
      writeFileSync(node, `#!/bin/sh\n${script}\n`);
      chmodSync(node, 0o755);
    }
    return spawnSync(process.execPath, [join(rootFolder, 'tools/check-runtime.js')], {
      encoding: 'utf8',
      env: { PATH: folder },
      timeout: 20_000,
    });
  }

  test('says nothing when node is new enough', () => {
    const { status, stdout, stderr } = checkWith(`echo v26.10.0`);
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  const faults: Array<[name: string, script: string | null, message: RegExp]> = [
    [
      'an old node',
      'echo v20.20.2',
      /zot needs Node \d+\.\d+\.\d+ or newer, and the `node` on the PATH is 20\.20\.2/,
    ],
    [
      'a missing library',
      'echo "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file" >&2; exit 127',
      /lacks the library libatomic\.so\.1; install libatomic1 \(Debian, Ubuntu\)/,
    ],
    [
      'an old glibc',
      'echo "node: /lib/libc.so.6: version \\`GLIBC_2.28\' not found (required by node)" >&2; exit 1',
      /too old \(GLIBC_2\.28 is missing\)/,
    ],
    ['no node at all', null, /`node --version` failed: .*ENOENT/],
  ];
  for (const [name, script, message] of faults) {
    test(`explains ${name} in one line, exit code 1`, () => {
      const { status, stderr } = checkWith(script);
      assert.equal(status, 1);
      assert.match(stderr, message);
      assert.match(stderr, /^Error: [^\n]+\.\n$/);
    });
  }
});
