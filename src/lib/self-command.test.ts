import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { selfCommand } from './self-command.ts';

test('the command starts this program again', () => {
  const { file, args } = selfCommand();
  const { stdout, status } = spawnSync(file, [...args, '--version'], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 0);
  assert.match(stdout, /"message":"version"/);
});

test('flags of the memory and the build are handed on, those of a debugger are not', () => {
  const module = JSON.stringify(new URL('./self-command.ts', import.meta.url).href);
  const code = `import { selfCommand } from ${module}; console.log(JSON.stringify(selfCommand().args));`;
  const flags = [
    '--max-old-space-size=64',
    '--conditions=minimal',
    '--inspect=127.0.0.1:0',
    '--input-type=module',
  ];
  const { stdout } = spawnSync(process.execPath, [...flags, '-e', code], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  const args = JSON.parse(stdout) as string[];
  assert.ok(args.includes('--max-old-space-size=64'));
  assert.ok(args.includes('--conditions=minimal'));
  assert.ok(!args.some((flag) => flag.startsWith('--inspect')));
  assert.match(args.at(-1) ?? '', /src\/bin\/zot\.ts$/);
});
