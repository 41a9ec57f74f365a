import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { selfCommand } from '#lib/self-command';
import { main } from './main.ts';
import { zotCommands } from './commands.ts';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...argv: string[]): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  const code = await main(argv, 'zot', {
    stdout: { write: (text) => (said.stdout += text) },
    stderr: { write: (text) => (said.stderr += text) },
  });
  return { code, ...said };
}

function runProgram(...argv: string[]): Outcome {
  const { file, args } = selfCommand();
  const { status, stdout, stderr } = spawnSync(file, [...args, ...argv], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { code: status ?? -1, stdout, stderr };
}

const shownCommands = zotCommands.filter(({ hidden }) => hidden !== true);

describe('help', () => {
  test('the name alone prints the help on stderr and ends with 0, as zot does', async () => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage:$/m);
  });

  for (const flag of ['--help', '-h', 'help']) {
    test(`${flag} lists every command with an example, and no internal one`, async () => {
      const { code, stdout, stderr } = await run(flag);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      for (const { name, summary } of shownCommands) {
        assert.ok(stdout.includes(summary), name);
        assert.match(stdout, new RegExp(`^ {2}zot ${name}`, 'm'));
      }
      assert.doesNotMatch(stdout, /internal-/);
    });
  }

  for (const command of shownCommands) {
    test(`${command.name} --help explains every flag and argument, and shows how to write it`, async () => {
      const { code, stdout } = await run(command.name, '--help');
      assert.equal(code, 0);
      for (const { name, help } of [...command.args, ...command.flags]) {
        assert.ok(stdout.includes(name) && stdout.includes(help), name);
      }
      assert.ok(command.examples.length > 0);
      for (const example of command.examples) assert.ok(stdout.includes(example), example);
      assert.deepEqual(await run('help', command.name), { code, stdout, stderr: '' });
    });
  }

  test('every example is a command line that can be parsed', async () => {
    for (const example of shownCommands.flatMap(({ examples }) => examples)) {
      const [, ...words] = example.replace(/ >.*$/, '').split(' ');
      const { stderr } = await run(...words, '--help');
      assert.equal(stderr, '', example);
    }
  });
});

describe('a wrong command line is one line on stderr and exit code 1', () => {
  const cases: Array<[argv: string[], message: RegExp]> = [
    [
      ['serv'],
      /^Error: unknown command "serv" for "zot"\. Did you mean "serve"\? Run "zot --help" for usage\.\n$/,
    ],
    [['verfiy'], /Did you mean "verify"\?/],
    [['frobnicate'], /^Error: unknown command "frobnicate" for "zot"\. Run "zot --help" for usage\.\n$/],
    [['help', 'shema'], /Did you mean "schema"\?/],
    [['internal-worke'], /^Error: unknown command "internal-worke" for "zot"\. Run/],
    [['--nothing'], /^Error: unknown flag: --nothing\. Run "zot --help" for usage\.\n$/],
    [
      ['serve', '--strikt'],
      /^Error: unknown flag: --strikt \(did you mean --strict\?\)\. Run "zot serve --help"/,
    ],
    [['serve', '-x'], /^Error: unknown flag: -x\. Run "zot serve --help"/],
    [['serve', 'a', 'b'], /^Error: accepts between 0 and 1 arg\(s\), received 2: "b" is too much\. /],
    [['verify'], /^Error: accepts 1 arg\(s\), received 0: <config> is missing\. /],
    [['tag', 'history'], /^Error: accepts 3 arg\(s\), received 1: <config>, <image> are missing\. /],
    [['export'], /^Error: needs at least 1 arg\(s\), received 0: <config> is missing\. /],
    [['schema', 'x'], /^Error: accepts 0 arg\(s\), received 1: "x" is too much\. /],
    [['version'], /^Error: unknown command "version" for "zot"\. Did you mean "--version"\?/],
    [
      ['import', 'docker-registry', 'x'],
      /^Error: name what to import and where: zot import docker-registry /,
    ],
    [['import', 'zot-db', 'x'], /^Error: name what to import and where: zot import zot-db /],
    [
      ['gc', '/nowhere'],
      /^Error: there is no \/nowhere: name the configuration of the server, or its storage folder\n$/,
    ],
    [['export', '/nowhere', 'a', '--to', 'b'], /^Error: there is no \/nowhere: name the configuration/],
    [
      ['serve', '--strict=perhaps'],
      /^Error: invalid value "perhaps" for --strict: write true, false or no value\. /,
    ],
  ];
  for (const [argv, message] of cases) {
    test(`zot ${argv.join(' ')}`, async () => {
      const { code, stdout, stderr } = await run(...argv);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
  }
});

describe('the program as a process', () => {
  test('--version and -v print one JSON line with the fields that scripts for zot read', () => {
    for (const flag of ['--version', '-v']) {
      const { code, stdout, stderr } = runProgram(flag);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, /^[^\n]+\n$/);
      const line = JSON.parse(stdout) as Record<string, unknown>;
      assert.equal(line['level'], 'info');
      assert.equal(line['message'], 'version');
      assert.match(String(line['distribution-spec']), /^1\.1\./);
      assert.equal(line['commit'], 'source');
      assert.equal(typeof line['binary-type'], 'string');
    }
  });

  test('a process of a minimal build knows that it is minimal', () => {
    const script = fileURLToPath(new URL('../bin/zot.ts', import.meta.url));
    const args = ['--conditions=minimal', script, '-v'];
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
    assert.equal((JSON.parse(stdout) as Record<string, unknown>)['binary-type'], 'minimal');
  });

  test('a failure is one line without a stack trace', () => {
    const { code, stdout, stderr } = runProgram('nonsense');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^Error: [^\n]+\n$/);
  });

  test('a reader that leaves early is no failure', () => {
    const { file, args } = selfCommand();
    const words = [file, ...args, '--help'].map((word) => `'${word}'`).join(' ');
    const script = `set -o pipefail; { ${words}; echo "code $?" >&2; } | true`;
    const { stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 20_000 });
    assert.equal(stderr, 'code 0\n');
  });

  test(
    'a full disk behind standard output is one line and exit code 1',
    { skip: existsSync('/dev/full') ? false : 'there is no /dev/full here' },
    () => {
      const { file, args } = selfCommand();
      const words = [file, ...args, '--help'].map((word) => `'${word}'`).join(' ');
      const { status, stderr } = spawnSync('bash', ['-c', `${words} > /dev/full`], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.equal(status, 1);
      assert.match(stderr, /^Error: the output cannot be written: ENOSPC[^\n]*\n$/);
    },
  );

  test('--version does not load the server', () => {
    const { file, args } = selfCommand();
    // The loader reports every module it takes in on stderr.
    const report =
      'import { registerHooks } from "node:module"; registerHooks({ load(url, c, next) { ' +
      'process.stderr.write(url + "\\n"); return next(url, c); } });';
    const hook = `data:text/javascript,${encodeURIComponent(report)}`;
    const run = spawnSync(file, ['--import', hook, ...args, '-v'], { encoding: 'utf8', timeout: 20_000 });
    assert.equal(run.status, 0);
    // Those of the program: a run of all tests has a module of its own loaded by every process.
    const modules = run.stderr.split('\n').filter((url) => /^file:.*\/src\//.test(url));
    assert.ok(modules.length >= 5, run.stderr);
    assert.deepEqual(
      modules.filter((url) => !/\/src\/(bin|cli|lib)\//.test(url)),
      [],
    );
    assert.deepEqual(
      modules.filter((url) => /serve|node_modules/.test(url)),
      [],
    );
  });
});

describe('flags and arguments', () => {
  test('are read in GNU style, mixed, and -- ends the flags', async () => {
    const { parseArguments } = await import('./parse-arguments.ts');
    const [command] = zotCommands.filter(({ name }) => name === 'verify');
    assert.ok(command);
    const read = (...words: string[]): unknown => {
      const call = parseArguments(command, words);
      return call === 'help' ? call : [call.positionals, call.isSet('json'), call.isSet('strict')];
    };
    assert.deepEqual(read('--json', 'folder'), [['folder'], true, false]);
    assert.deepEqual(read('folder', '--json=false', '--strict=TRUE'), [['folder'], false, true]);
    assert.deepEqual(read('--', '--json'), [['--json'], false, false]);
    assert.equal(read('-h'), 'help');
  });

  test('a flag with a value takes it in four spellings', async () => {
    const { parseArguments } = await import('./parse-arguments.ts');
    const flag = { name: 'output', short: 'o', value: 'format', help: 'How to print.' };
    const [schema] = zotCommands.filter(({ name }) => name === 'schema');
    assert.ok(schema);
    const command = { ...schema, flags: [flag] };
    for (const words of [['--output', 'json'], ['--output=json'], ['-o', 'json'], ['-ojson']]) {
      const call = parseArguments(command, words);
      assert.ok(call !== 'help');
      assert.equal(call.findValue('output'), 'json');
    }
    assert.throws(() => parseArguments(command, ['--output']), /flag needs an argument: --output <format>/);
  });
});
