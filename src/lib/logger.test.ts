import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openLog } from './logger.ts';
import type { LogLevel } from './logger.ts';

describe('the log', { timeout: 30_000 }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-log-'));
  });
  after(() => rm(folder, { recursive: true }));

  // The program ends between opening and writing in most tests, so each runs in a process of its own.
  const runWith = async (options: object, script: string): Promise<string> => {
    const module = new URL('./logger.ts', import.meta.url).href;
    const source = `const { openLog } = await import(${JSON.stringify(module)});
      const log = openLog(${JSON.stringify(options)});
      await new Promise((resolve) => setImmediate(resolve));
      ${script}`;
    const words = [process.execPath, '--input-type=module', '--eval', source];
    // Through a pipe of the shell: Node gives a child a socket, which cannot be opened by a name.
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', '"$0" "$@" | cat', ...words]);
    return stdout;
  };
  const linesOf = (text: string): Record<string, unknown>[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test('a file that cannot be written is refused at the start, with its key', () => {
    const output = join(folder, 'absent', 'zot.log');
    assert.throws(() => openLog({ level: 'info', output }), {
      name: 'StartError',
      message: new RegExp(`^log\\.output: ${output} cannot be written: ENOENT`),
    });
    assert.throws(() => openLog({ level: 'info', output: folder }), { message: /^log\.output: .* EISDIR/ });
  });

  test('writes JSON lines with the fields that zot’s lines have, to standard output', async () => {
    const output = await runWith(
      { level: 'info', output: '', process: 'keeper' },
      `log.logger.info({ repository: 'a/b' }, 'pushed');
       log.logger.error({ error: new TypeError('why') }, 'failed');
       await log.flush();`,
    );
    const [pushed, failed] = linesOf(output);
    assert.deepEqual(
      { ...pushed, time: '' },
      { time: '', level: 'info', message: 'pushed', repository: 'a/b', process: 'keeper' },
    );
    assert.ok(Math.abs(Date.parse(String(pushed?.time)) - Date.now()) < 60_000);
    assert.deepEqual([failed?.level, (failed?.error as Error | undefined)?.message], ['error', 'why']);
  });

  test('writes to a pipe in pieces that others cannot write into, also one that is named as a file', async () => {
    const output = await runWith(
      { level: 'info', output: '/dev/stdout' },
      `const fs = (await import('node:fs')).default;
       const write = fs.write;
       let largest = 0;
       fs.write = (fd, text, ...rest) => {
         largest = Math.max(largest, Buffer.byteLength(text));
         return write(fd, text, ...rest);
       };
       for (let count = 0; count < 500; count += 1) log.logger.info({ filling: 'x'.repeat(100) }, 'line');
       await log.flush();
       fs.writeSync(1, JSON.stringify({ largest }) + '\\n');`,
    );
    const lines = linesOf(output);
    const largest = Number(lines.pop()?.largest);
    assert.equal(lines.length, 500);
    assert.ok(largest > 1000 && largest <= 4096, `${largest} bytes at once`);
  });

  test('writes what is at its level and above, by zot’s names of levels', async () => {
    const levels: [LogLevel, string][] = [
      ['trace', 'debug,info,warn,error'],
      ['debug', 'debug,info,warn,error'],
      ['warning', 'warn,error'],
      ['panic', 'error'],
    ];
    for (const [level, expected] of levels) {
      const script = `for (const name of ['debug', 'info', 'warn', 'error']) log.logger[name](name);
        await log.flush();`;
      const written = linesOf(await runWith({ level, output: '' }, script)).map(({ message }) => message);
      assert.equal(written.join(), expected, level);
    }
  });

  test('goes on in a new file when its own was moved away, and keeps files to their owner', async () => {
    const output = join(folder, 'zot.log');
    const script = `const { rename } = await import('node:fs/promises');
      log.logger.info('before');
      await log.flush();
      await rename(${JSON.stringify(output)}, ${JSON.stringify(`${output}.1`)});
      log.reopen();
      const { statSync } = await import('node:fs');
      const isNew = () => statSync(${JSON.stringify(output)}, { throwIfNoEntry: false })?.size > 0;
      for (let line = 1; !isNew() && line < 10_000; line += 1) {
        log.logger.info('line ' + line);
        await log.flush();
        await new Promise((resolve) => setImmediate(resolve));
      }`;
    await runWith({ level: 'info', output }, script);
    const messages = async (path: string) =>
      linesOf(await readFile(path, 'utf8')).map(({ message }) => message);
    // Nothing is lost on the way: the lines go on in the new file where they stop in the old one.
    const old = await messages(`${output}.1`);
    assert.deepEqual(
      [...old, ...(await messages(output))],
      ['before', ...old.slice(1), `line ${old.length}`],
    );
    assert.equal((await stat(output)).mode & 0o077, 0);
  });

  test('can be flushed before it was opened, and appends to a file that is there', async () => {
    const output = join(folder, 'appended.log');
    for (const round of ['first', 'second']) {
      await runWith({ level: 'info', output }, `log.logger.info('${round}'); await log.flush();`);
    }
    assert.equal(linesOf(await readFile(output, 'utf8')).length, 2);
    const log = openLog({ level: 'info', output: join(folder, 'early.log') });
    await log.flush();
    await rename(output, `${output}.old`);
  });

  test('changes its level, also of the loggers made from it', async () => {
    const script = `const child = log.logger.child({ component: 'x' });
      for (const level of ['error', 'debug']) {
        log.setLevel(level);
        log.logger.info('own ' + level);
        child.info('child ' + level);
      }
      await log.flush();`;
    const messages = linesOf(await runWith({ level: 'info', output: '' }, script)).map(
      ({ message }) => message,
    );
    assert.deepEqual(messages, ['own debug', 'child debug']);
  });

  for (const [reader, leaves] of [
    ['stopped reading', false],
    ['is gone', true],
  ] as const) {
    test(`lets the process end in time when its reader ${reader}`, async () => {
      const module = new URL('./logger.ts', import.meta.url).href;
      const source = `const { openLog } = await import(${JSON.stringify(module)});
        const log = openLog({ level: 'info', output: '' });
        process.on('SIGTERM', () => log.flush().then(() => process.stderr.write('flushed')));
        const timer = setInterval(() => log.logger.info('x'.repeat(1000)), 1);
        process.once('SIGTERM', () => clearInterval(timer));
        process.stderr.write('ready');`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', source]);
      const ended = once(child, 'exit');
      await once(child.stderr, 'data');
      if (leaves) child.stdout.destroy();
      // Far more than a pipe holds is written meanwhile.
      await setTimeout(1000);
      child.kill('SIGTERM');
      const startedMs = performance.now();
      const killer = globalThis.setTimeout(() => child.kill('SIGKILL'), 15_000);
      const [code] = (await ended) as [number | null];
      clearTimeout(killer);
      assert.equal(code, 0, `it had to be killed after ${performance.now() - startedMs} ms`);
    });
  }
});
