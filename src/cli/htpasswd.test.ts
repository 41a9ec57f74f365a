import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { selfCommand } from '#lib/self-command';
import { FileChangedError, findStats, replaceFile } from '#lib/replace-file';
import { findProgram } from '../../tools/debian-tools.ts';
import { htpasswdCommand } from './htpasswd.ts';
import { passwordOfTerminal } from './read-password.ts';

/** Runs a program at a terminal of its own. */
const script = await findProgram('script');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `zot htpasswd` as a program of its own, with a text on standard input. */
function run(input: string, ...words: string[]): Outcome {
  const { file, args } = selfCommand();
  const { status, stdout, stderr } = spawnSync(file, [...args, 'htpasswd', ...words], {
    encoding: 'utf8',
    input,
    timeout: 60_000,
  });
  return { code: status ?? -1, stdout, stderr };
}

describe('zot htpasswd', { timeout: 120_000 }, () => {
  let folder = '';
  let file = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-htpasswd-'));
    file = join(folder, 'htpasswd');
  });
  after(() => rmSync(folder, { recursive: true }));

  test('adds, verifies, changes, lists and removes users', () => {
    assert.equal(run('secret\n', 'add', file, 'alice', '--stdin', '--cost', '5').code, 0);
    assert.equal(run('pässwörd "x"\r\n', 'add', file, 'bob', '--stdin', '--cost', '5').code, 0);
    assert.equal(statSync(file).mode & 0o777, 0o600, 'a new file is for its owner alone');
    assert.match(readFileSync(file, 'utf8'), /^alice:\$2[aby]\$05\$[^:]{53}\nbob:\$2[aby]\$05\$[^:]{53}\n$/);
    assert.equal(run('secret', 'verify', file, 'alice', '--stdin').code, 0);
    assert.equal(run('pässwörd "x"', 'verify', file, 'bob', '--stdin').code, 0);
    assert.equal(run('wrong', 'verify', file, 'alice', '--stdin').code, 1);
    assert.equal(run('changed', 'set', file, 'alice', '--stdin', '--cost', '4').code, 0);
    assert.equal(run('secret', 'verify', file, 'alice', '--stdin').code, 1);
    assert.equal(run('changed', 'verify', file, 'alice', '--stdin').code, 0);
    assert.equal(run('', 'list', file).stdout, 'alice\tbcrypt, cost 4\nbob\tbcrypt, cost 5\n');
    const { users } = JSON.parse(run('', 'list', file, '--json').stdout) as { users: unknown[] };
    assert.equal(users.length, 2);
    assert.equal(run('', 'remove', file, 'alice').code, 0);
    assert.equal(run('', 'list', file).stdout, 'bob\tbcrypt, cost 5\n');
    assert.deepEqual(readdirSync(folder), ['htpasswd'], 'nothing is left beside the file');
  });

  test('keeps the mode of the file and the link that leads to it', () => {
    const real = join(folder, 'real');
    const link = join(folder, 'link');
    writeFileSync(real, 'x:y\n');
    chmodSync(real, 0o640);
    symlinkSync('real', link);
    assert.equal(run('secret', 'add', link, 'alice', '--stdin', '--cost', '4').code, 0);
    assert.equal(readlinkSync(link), 'real');
    assert.equal(statSync(real).mode & 0o777, 0o640);
    assert.match(readFileSync(real, 'utf8'), /^x:y\nalice:/);
  });

  test('says what cannot be done, and changes nothing', async () => {
    const text = 'alice:plain\n';
    writeFileSync(file, text);
    const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
      ['x', ['add', file, 'alice', '--stdin'], /in .* already/],
      ['x', ['set', file, 'erin', '--stdin'], /is not in/],
      ['', ['remove', file, 'erin'], /is not in/],
      ['x', ['verify', file, 'erin', '--stdin'], /is not in/],
      ['x', ['verify', file, 'alice', '--stdin'], /cannot sign in: only bcrypt/],
      ['', ['add', file, 'erin', '--stdin'], /password is empty/],
      ['x'.repeat(73), ['add', file, 'erin', '--stdin'], /longer than 72 bytes/],
      ['x'.repeat(9000), ['add', file, 'erin', '--stdin'], /too long/],
      ['a\0b', ['add', file, 'erin', '--stdin'], /NUL/],
      ['x', ['add', file, 'er:in', '--stdin'], /no colon/],
      ['x', ['add', file, 'er\nin', '--stdin'], /no control character/],
      ['x', ['add', file, '', '--stdin'], /name the user/],
      ['x', ['add', file, 'erin', '--stdin', '--cost', '31'], /from 4 to 17/],
      ['x', ['add', file, 'erin'], /no terminal/],
      ['', ['list', join(folder, 'absent')], /there is no file/],
      ['', ['remove', join(folder, 'absent'), 'erin'], /there is no file/],
      ['', ['fly', file], /unknown action "fly"/],
      ['x', ['fly', file, 'erin'], /unknown action "fly"/],
    ];
    for (const [input, [action = '', path = '', user = '', ...flags], message] of refusals) {
      const cost = flags.includes('--cost') ? (flags.at(-1) ?? '') : null;
      const args = { action, path, user, stdin: flags.includes('--stdin'), cost, json: false };
      const io = { stdout: { write: () => undefined }, stderr: { write: () => undefined } };
      const lines = Readable.from([Buffer.from(input)]);
      await assert.rejects(htpasswdCommand(args, io, lines), message, `${action} ${user}`);
    }
    const words = run('x', 'add', file, 'erin', 'secret');
    assert.deepEqual(
      [words.code, /accepts between 2 and 3/.test(words.stderr)],
      [1, true],
      'no password as an argument',
    );
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  test(
    'asks at a terminal without showing what is typed',
    { skip: script === null ? 'script is not installed (Debian: bsdutils)' : false },
    async () => {
      const { file: program, args } = selfCommand();
      const words = [program, ...args, 'htpasswd', 'add', file, 'typist', '--cost', '4']
        .map((word) => `'${word}'`)
        .join(' ');
      const terminal = spawn(script ?? '', ['-qec', words, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let shown = '';
      terminal.stdout.on('data', (chunk: Buffer) => {
        const before = shown;
        shown += chunk.toString();
        const asks = (text: string): boolean => !before.includes(text) && shown.includes(text);
        if (asks('New password of typist: ')) terminal.stdin.write('typed-secretX\u007f\r');
        if (asks('Again: ')) terminal.stdin.write('typed-secret\r');
      });
      const code = await new Promise((resolve) => terminal.on('close', resolve));
      assert.equal(code, 0, shown);
      assert.ok(!shown.includes('typed'), shown);
      assert.equal(run('typed-secret', 'verify', file, 'typist', '--stdin').code, 0);
    },
  );
});

describe('the prompt for a password', () => {
  async function typed(keys: string, confirms = true): Promise<string> {
    const modes: boolean[] = [];
    const input = {
      isTTY: true,
      setRawMode: (raw: boolean) => modes.push(raw),
      async *[Symbol.asyncIterator]() {
        yield* Array.from(keys);
      },
    };
    try {
      return await passwordOfTerminal(input, { write: () => undefined }, { prompt: 'Password', confirms });
    } finally {
      assert.deepEqual(modes, [true, false], 'the terminal is as it was');
    }
  }

  test('takes corrections', async () => {
    assert.equal(await typed('ab\u007fc\rac\r'), 'ac');
    assert.equal(await typed('wrong\u0015right\rright\n'), 'right');
    assert.equal(await typed('\u007f\u007fä€\u007f\r', false), 'ä');
  });

  test('notices slips, and can be left', async () => {
    await assert.rejects(typed('one\rtwo\r'), /differ/);
    await assert.rejects(typed('one\u0003'), /interrupted/);
    await assert.rejects(typed('one'), /closed/);
  });
});

describe('replacing a file', () => {
  test('that somebody else changed meanwhile is refused', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zot-replace-'));
    const path = join(folder, 'file');
    try {
      writeFileSync(path, 'one');
      const expected = findStats(path);
      writeFileSync(path, 'of somebody else');
      assert.throws(() => replaceFile(path, 'two', { expected, mode: 0o600 }), FileChangedError);
      assert.throws(() => replaceFile(path, 'two', { expected: null, mode: 0o600 }), FileChangedError);
      assert.equal(readFileSync(path, 'utf8'), 'of somebody else');
      assert.deepEqual(readdirSync(folder), ['file']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
