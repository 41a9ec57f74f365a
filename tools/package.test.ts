import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { rootFolder } from './build/paths.ts';

/** A program of someone who uses the package, for the compiler to judge the declarations by. */
const typedProgram = `
import { createRegistry, type StorageDriver } from 'zot-ts';
import { StorageError } from 'zot-ts/driver';
import { driverContract } from 'zot-ts/driver-contract';
declare const driver: StorageDriver;
const registry = await createRegistry({ storage: { rootDirectory: 'x' } }, { driver });
const url: string = await registry.start();
const address: string | null = registry.address();
// @ts-expect-error -- there is no such method
registry.nothing();
// @ts-expect-error -- a driver is no text
await createRegistry({}, { driver: 'local' });
driverContract('mine', async () => ({ driver, close: async () => undefined }));
export { url, address, StorageError };
`;

const examples = join(rootFolder, 'examples/embedding');

/** The packed package, installed by npm in an empty folder as its users do; the examples run there. */
describe('the npm package', { timeout: 240_000 }, () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'zot-package-'));
    const tool = join(rootFolder, 'tools/package.ts');
    const outcome = execFileSync(process.execPath, [tool, '--destination', folder], { encoding: 'utf8' });
    const archive = outcome.trim().split('\n').at(-1) ?? '';
    writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', archive], {
      cwd: folder,
      stdio: 'pipe',
      timeout: 120_000,
    });
    for (const file of globSync('*.ts', { cwd: examples }))
      copyFileSync(join(examples, file), join(folder, file));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    // A test runner inside a test runner would report to the outer one.
    const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
    return spawnSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8', timeout: 60_000 });
  }

  test('brings no Node along that would stand before the user’s own', () => {
    assert.equal(existsSync(join(folder, 'node_modules/.bin/node')), false);
    assert.ok(existsSync(join(folder, 'node_modules/.bin/zot')));
  });

  test('holds JavaScript and declarations, and no TypeScript that Node would refuse', () => {
    const top = join(folder, 'node_modules/zot-ts');
    const sources = globSync('**/*.ts', { cwd: top }).filter((file) => !file.endsWith('.d.ts'));
    assert.deepEqual(sources, []);
    for (const file of globSync('types/**/*.d.ts', { cwd: top })) {
      assert.doesNotMatch(readFileSync(join(top, file), 'utf8'), /from ['"]\.[^'"]*(?<!\.d)\.ts['"]/, file);
    }
    assert.ok(existsSync(join(top, 'LICENSE')));
  });

  test('its types fit a strict program, down to the declarations themselves', () => {
    writeFileSync(join(folder, 'typed.ts'), typedProgram);
    const compiler = join(rootFolder, 'node_modules/typescript/bin/tsc');
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node'];
    const types = ['--typeRoots', join(rootFolder, 'node_modules/@types')];
    const { status, stdout } = run(compiler, ...flags, ...types, 'typed.ts');
    assert.equal(status, 0, stdout);
  });

  test('the registry starts, takes a push and stops', () => {
    const { status, stdout, stderr } = run('standalone.ts', join(folder, 'standalone-data'));
    assert.equal(status, 0, stderr);
    assert.match(stdout, /pushed the blob: 201\npushed the manifest: 201\npulled what was pushed: true\n/);
  });

  test('a driver of one’s own passes the suite of the contract', () => {
    const { status, stdout } = run('--test', '--test-reporter=tap', 'memory-driver.test.ts');
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^# pass [1-9]\d+$/m);
  });

  test('the registry can be mounted in another server, with a driver of one’s own', async () => {
    const data = join(folder, 'server-data');
    const child = spawn(process.execPath, ['server.ts', data], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const killer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    try {
      const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      assert.match(await (await fetch(`${url}/`)).text(), /registry below/);
      const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
      const push = await fetch(`${url}/v2/a/b/blobs/uploads/?digest=${digest}`, {
        method: 'POST',
        body: '{}',
      });
      assert.equal(push.status, 201);
      const pull = await fetch(`${url}/v2/a/b/blobs/${digest}`);
      assert.equal(await pull.text(), '{}');
      assert.equal(existsSync(join(data, 'a')), false, 'the content went to the driver, not to the folder');
    } finally {
      child.kill('SIGTERM');
    }
    const [code, signal] = (await exited) as [number | null, string | null];
    clearTimeout(killer);
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  });

  test('the command of the package says its version', () => {
    const { status, stdout } = run('node_modules/.bin/zot', '--version');
    assert.equal(status, 0);
    assert.match(stdout, /"message":"version"/);
  });
});
