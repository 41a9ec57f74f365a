import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { build } from 'esbuild';
import { composeBuildInfo } from '#lib/build-info';
import { commonOptions, type Bundle } from './bundle.ts';
import { makeExecutable } from './executable.ts';
import { findSignatureFault } from './macho-sign.ts';
import { rootFolder } from './paths.ts';
import { findFetchedRuntime } from './runtime.ts';
import { nativeTargetName, parseTarget, targets, type Target } from './targets.ts';

/** A program that says how it was started, and once starts itself again: what every executable here relies on. */
const probe = `
import { spawnSync } from 'node:child_process';
import { selfCommand } from '#lib/self-command';
import { buildInfo } from '#lib/build-info';
const { DatabaseSync } = await import('node:sqlite');
const { file, args } = selfCommand();
const again = process.argv[2] === 'again' ? null : spawnSync(file, [...args, 'again'], { encoding: 'utf8' }).stdout;
console.log(JSON.stringify({
  argv: process.argv.slice(2), calledAs: process.argv0, execPath: process.execPath, again,
  commit: buildInfo.commit, sqlite: new DatabaseSync(':memory:').prepare('SELECT 1 AS one').get().one,
  heapLimitBytes: (await import('node:v8')).getHeapStatistics().heap_size_limit,
}));`;

interface Report {
  readonly argv: string[];
  readonly calledAs: string;
  readonly execPath: string;
  readonly again: string | null;
  readonly commit: string;
  readonly sqlite: number;
  readonly heapLimitBytes: number;
}

/** No Node is on this PATH, as on a machine that has none. */
const bareEnvironment = { PATH: '/nowhere' };

let folder: string;
let bundle: Bundle;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zot-executable-'));
  const info = composeBuildInfo({ version: '0.0.0', commit: 'probe', flavour: 'full' });
  const file = join(folder, 'probe.mjs');
  const { metafile } = await build({
    ...commonOptions({ flavour: 'full', info, outFolder: folder }, './probe.mjs'),
    stdin: { contents: probe, resolveDir: rootFolder, sourcefile: 'src/probe.ts' },
    outfile: file,
  });
  assert.ok(metafile);
  bundle = { file, metafile };
});
after(() => rmSync(folder, { recursive: true, force: true }));

function start(command: readonly string[], env: Record<string, string> = bareEnvironment): Report {
  const [file = '', ...args] = command;
  const { stdout, stderr, status } = spawnSync(file, args, { encoding: 'utf8', env, timeout: 120_000 });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Report;
}

describe('an executable for this machine', { skip: skipUnknownMachine() }, () => {
  let file: string;
  before(() => {
    file = join(folder, 'probe');
    makeExecutable(bundle, parseTarget(nativeTargetName), file);
  });

  test('starts without Node on the machine, with its words, its build and Node’s own modules', () => {
    const report = start([file, 'a', '--b']);
    assert.deepEqual(report.argv, ['a', '--b']);
    assert.equal(report.execPath, file);
    assert.equal(report.commit, 'probe');
    assert.equal(report.sqlite, 1);
  });

  test('can start itself again', () => {
    const report = start([file]);
    assert.deepEqual((JSON.parse(report.again ?? 'null') as Report).argv, ['again']);
  });

  test('knows the name by which it was called', () => {
    const link = join(folder, 'zli');
    symlinkSync(file, link);
    assert.equal(start([link]).calledAs, link);
  });

  test('obeys NODE_OPTIONS, the way to bound its memory', () => {
    const bounded = start([file], { ...bareEnvironment, NODE_OPTIONS: '--max-old-space-size=64' });
    assert.ok(bounded.heapLimitBytes < 100 * 2 ** 20, String(bounded.heapLimitBytes));
  });
});

function skipUnknownMachine(): string | false {
  const known = targets.some(({ name }) => name === nativeTargetName);
  return known ? false : `there is no target ${nativeTargetName}`;
}

/** Other machines' Node is 50 MB each, so tests use it only where a build has fetched it. */
function skipUnfetched(target: Target): string | false {
  if (findFetchedRuntime(target) !== null) return false;
  return `Node for ${target.name} is not here; npm run build -- --target ${target.name} fetches it`;
}

const darwin = parseTarget('darwin-arm64');
test('an executable for macOS carries a signature that covers it', { skip: skipUnfetched(darwin) }, () => {
  const file = join(folder, 'probe-darwin');
  makeExecutable(bundle, darwin, file);
  const bytes = readFileSync(file);
  assert.equal(findSignatureFault(bytes), null);
  assert.ok(bytes.includes('again'), 'the program is inside');
});

const arm = parseTarget('linux-arm64');
const armLibraries = '/usr/aarch64-linux-gnu';
test(
  'an executable for 64-bit ARM starts under emulation',
  { skip: skipUnfetched(arm) || skipEmulator() },
  () => {
    const file = join(folder, 'probe-arm64');
    makeExecutable(bundle, arm, file);
    const report = start(['/usr/bin/qemu-aarch64', '-L', armLibraries, file, 'a']);
    assert.deepEqual(report.argv, ['a']);
    assert.equal(report.sqlite, 1);
  },
);

function skipEmulator(): string | false {
  if (!existsSync('/usr/bin/qemu-aarch64')) return 'qemu-aarch64 is not installed (Debian: qemu-user)';
  const library = `${armLibraries}/lib/libatomic.so.1`;
  const packages = 'libc6-arm64-cross, libstdc++6-arm64-cross and libatomic1-arm64-cross';
  return existsSync(library) ? false : `${library} is not here (Debian: ${packages})`;
}
