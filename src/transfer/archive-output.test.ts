import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`an archive that is stopped by ${signal} leaves nothing behind`, { timeout: 20_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'zot-archive-'));
    t.after(() => rm(folder, { recursive: true }));
    const module = new URL('./archive-output.ts', import.meta.url).href;
    const source = `const { writeWhole } = await import(${JSON.stringify(module)});
      await writeWhole(${JSON.stringify(join(folder, 'app.tar'))}, async (write) => {
        await write(Buffer.from('half of it'));
        process.stdout.write('written');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source]);
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    assert.match((await readdir(folder)).join(' '), /^app\.tar\.[0-9a-f]{12}\.part$/);
    const ended = once(child, 'exit');
    child.kill(signal);
    assert.deepEqual(await ended, [null, signal]);
    assert.deepEqual(await readdir(folder), []);
  });
