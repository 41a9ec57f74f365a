/**
 * R12: one folder is served by one server. The second says so in one line and ends with exit code 1; nothing is left
 * locked when the first is killed; and processes that outlive their supervisor do not hold the folder for long.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { startProcess } from '../support/process.ts';
import { projectRoot, startServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { imageOf, randomContent } from './support/images.ts';
import { pushImage } from './support/pushing.ts';
import { RegistryClient } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { serverProcesses } from './support/server-processes.ts';

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'zot-two-servers-'));
});
after(async () => {
  await rm(root, { recursive: true, force: true });
});

const image = imageOf([randomContent(new SeededRandom(1), 1000)], 'image');

/** Starts a server that is to fail, and gives its exit code and what it said. */
async function refusedStart(workers: number): Promise<{ exitCode: number; errors: string }> {
  const configFile = join(root, '..', `${Date.now()}-second.json`);
  await writeFile(
    configFile,
    JSON.stringify({
      storage: { rootDirectory: root },
      http: { address: '127.0.0.1', port: '0', workers },
      log: { level: 'error' },
    }),
  );
  const command = [process.execPath, join(projectRoot, 'src/bin/zot.ts'), 'serve', configFile];
  const second = startProcess({ command, cwd: tmpdir(), env: {} });
  await assert.rejects(
    second.waitForLine((line) => (line.includes('"listening"') ? line : null), 30_000),
    /exit code/,
  );
  const exitCode = await second.stop(1000);
  await rm(configFile);
  return { exitCode, errors: second.stderr() };
}

describe('two servers on one folder', { timeout: 120_000 }, () => {
  for (const workers of [1, 2]) {
    test(`the second refuses in one line, and the first goes on: workers ${workers}`, async () => {
      const first = await startServer({ root, config: { http: { workers } } });
      const client = new RegistryClient(first.url);
      try {
        for (const secondWorkers of workers === 1 ? [1, 2] : [1]) {
          const { exitCode, errors } = await refusedStart(secondWorkers);
          assert.equal(exitCode, 1);
          assert.match(errors, /^Error: the folder \S+ is in use: .+\n$/);
        }
        await pushImage(client, 'app', image, `workers-${workers}`);
      } finally {
        client.close();
        await first.stop();
      }
    });

    test(`nothing stays locked after kill -9: workers ${workers}`, async () => {
      const first = await startServer({ root, config: { http: { workers } } });
      await first.kill();
      const second = await startServer({ root, config: { http: { workers } } });
      await second.stop();
      await first.stop();
    });
  }

  test('processes whose supervisor was killed end by themselves, and the folder is free again', async () => {
    const first = await startServer({ root, config: { http: { workers: 2, shutdownGrace: '2s' } } });
    const { keeper, workers } = await serverProcesses(first.pid);
    const children = [keeper ?? 0, ...workers];
    assert.equal(children.length, 3);
    process.kill(first.pid, 'SIGKILL');
    await retry(async () => {
      for (const pid of children) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    }, 15_000);
    const second = await startServer({ root });
    await second.stop();
    await first.stop();
  });
});
