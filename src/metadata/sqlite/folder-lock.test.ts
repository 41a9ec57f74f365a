import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { heldByZot, lockFolder } from './folder-lock.ts';
import type { FolderLock } from './folder-lock.ts';

function taken(lock: FolderLock | string): FolderLock {
  assert.ok(typeof lock !== 'string', JSON.stringify(lock));
  return lock;
}

describe('the lock of a folder', { timeout: 60_000 }, () => {
  let folder: string;
  let children: ChildProcess[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-lock-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });

  /** Starts a process that says one line and lives until it is killed or its input ends. */
  const start = async (command: string, args: string[]): Promise<{ child: ChildProcess; line: string }> => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const [chunk] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[];
    return { child, line: String(chunk).trim() };
  };

  const lockElsewhere = async () => {
    const module = new URL('./folder-lock.ts', import.meta.url).href;
    const script = `const { lockFolder } = await import(${JSON.stringify(module)});
      const lock = lockFolder(process.argv[1]);
      console.log(typeof lock === 'string' ? lock : 'locked');
      process.stdin.resume();`;
    return start(process.execPath, ['--input-type=module', '--eval', script, folder]);
  };

  test('is held by one at a time, within a process too, and can be given back', () => {
    const lock = taken(lockFolder(folder));
    assert.equal(lockFolder(folder), 'another process of this registry serves it');
    lock.release();
    taken(lockFolder(folder)).release();
  });

  test('is held against other processes, and ends with kill -9', async () => {
    const { child, line } = await lockElsewhere();
    assert.equal(line, 'locked');
    assert.equal(lockFolder(folder), 'another process of this registry serves it');
    const refused = await lockElsewhere();
    assert.equal(refused.line, 'another process of this registry serves it');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const lock = taken(lockFolder(folder));
    assert.equal((await lockElsewhere()).line, 'another process of this registry serves it');
    lock.release();
  });

  test('that cannot be taken says why', async () => {
    assert.match(JSON.stringify(lockFolder(join(folder, 'none'))), /unable to open/);
    await writeFile(
      join(folder, 'lock.db'),
      'not a database at all, but long enough to be taken for one'.repeat(100),
    );
    assert.match(JSON.stringify(lockFolder(folder)), /not a database/);
  });

  test(
    'of zot itself is seen while zot would hold it',
    { skip: process.platform !== 'linux' && 'Linux only' },
    async (context) => {
      assert.equal(heldByZot(folder), false);
      for (const name of ['meta.db', 'cache.db', 'other.db']) await writeFile(join(folder, name), 'x');
      assert.equal(heldByZot(folder), false);
      for (const name of ['meta.db', 'cache.db']) {
        // zot locks these files by flock(2), as this tool does.
        const held = await start('flock', ['-x', join(folder, name), 'sh', '-c', 'echo held; cat']).catch(
          String,
        );
        if (typeof held === 'string') {
          context.skip(`flock of util-linux cannot be run: ${held}`);
          return;
        }
        assert.equal(held.line, 'held');
        assert.equal(heldByZot(folder), true, name);
        held.child.stdin?.end();
        await once(held.child, 'exit');
        assert.equal(heldByZot(folder), false, name);
      }
      const other = await start('flock', ['-x', join(folder, 'other.db'), 'sh', '-c', 'echo held; cat']);
      assert.equal(other.line, 'held');
      assert.equal(heldByZot(folder), false);
      other.child.stdin?.end();
      await once(other.child, 'exit');
    },
  );
});
