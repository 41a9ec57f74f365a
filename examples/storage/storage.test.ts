/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { main } from '../../src/cli/main.ts';
import { startServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-storage-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const TESTS: Record<string, (config: Record<string, unknown>) => Promise<void>> = {
  'garbage.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const text: string[] = [];
      const io = { stdout: { write: (more: string) => text.push(more) }, stderr: { write: () => true } };
      assert.equal(await main(['tasks', server.configFile, '--json'], 'zot', io), 0);
      const { jobs } = JSON.parse(text.join('')) as { jobs: { name: string }[] };
      assert.deepEqual(jobs.map(({ name }) => name).toSorted(), ['gc', 'gc /scratch']);
    } finally {
      await server.stop();
    }
  },
};

for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  test(`${file} does what it says`, { timeout: 60_000 }, async () => {
    const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
    const { storage } = parse(text.replaceAll('/var/lib', folder)) as { storage: Record<string, unknown> };
    const work = TESTS[file];
    assert.ok(work, 'an example without a test');
    await work({ storage });
  });
}
