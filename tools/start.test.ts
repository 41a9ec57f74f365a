import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { rootFolder } from './build/paths.ts';

/** The PATH of a person's shell: without the folder in which npm has put the pinned Node of this project. */
const ownPath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

/** Variables that the npm around this test has set would stand in for those of the npm that it starts. */
const ownEnvironment = Object.fromEntries(
  Object.entries({ ...process.env, PATH: ownPath }).filter(([name]) => !/^(npm_|NODE_)/.test(name)),
);

function findMachinesNode(): string | null {
  try {
    return execFileSync('node', ['--version'], { encoding: 'utf8', env: ownEnvironment }).trim();
  } catch (error) {
    process.stderr.write(`the machine has no Node of its own: ${String(error)}\n`);
    return null;
  }
}

const machinesNode = findMachinesNode();
const skip = machinesNode === null ? 'this machine has no npm' : false;

test(
  `npm start with ${machinesNode} runs the pinned Node and hands SIGTERM on`,
  { skip, timeout: 60_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zot-start-'));
    const config = join(folder, 'config.json');
    const storage = { rootDirectory: join(folder, 'data') };
    writeFileSync(config, JSON.stringify({ storage, http: { address: '127.0.0.1', port: '0', workers: 1 } }));
    const child = spawn('npm', ['start', '--', config], {
      cwd: rootFolder,
      env: ownEnvironment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const killer = setTimeout(() => child.kill('SIGKILL'), 50_000);
    const exited = once(child, 'exit');
    child.stderr.resume();
    try {
      const lines: string[] = [];
      let url = '';
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        const entry = line.startsWith('{') ? (JSON.parse(line) as Record<string, string>) : {};
        if (entry['message'] === 'starting') assert.equal(entry['node'], process.version);
        if (entry['message'] !== 'listening') continue;
        url = entry['url'] ?? '';
        assert.equal((await fetch(`${url}/v2/`)).status, 200);
        child.kill('SIGTERM');
      }
      assert.notEqual(url, '', lines.join('\n'));
      assert.deepEqual(await exited, [0, null], 'npm ends as the server did');
      await assert.rejects(fetch(`${url}/v2/`), 'nothing is left that answers');
    } finally {
      clearTimeout(killer);
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
