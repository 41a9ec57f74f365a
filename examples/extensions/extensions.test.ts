/** Every configuration of this folder is started as it is, but for its paths and its port, and does what it says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { runZot } from '../../test/support/run-zot.ts';
import { startServer } from '../../test/support/server.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-extension-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const TESTS: Record<string, (config: Record<string, unknown>) => Promise<void>> = {
  'scrub.yaml': async (config) => {
    const server = await startServer({ config });
    try {
      const bytes = Buffer.from('bytes that rot');
      const hex = createHash('sha256').update(bytes).digest('hex');
      const blob = `${server.url}/v2/team/app/blobs/sha256:${hex}`;
      const upload = { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes };
      const target = `${server.url}/v2/team/app/blobs/uploads/?digest=sha256:${hex}`;
      assert.equal((await fetch(target, upload)).status, 201);
      assert.match((await runZot('tasks', server.configFile)).text, /^scrub \(low\)/m);
      assert.equal((await runZot('scrub', server.configFile)).exitCode, 0);
      writeFileSync(path.join(folder, 'zot/team/app/blobs/sha256', hex), 'bytes that rOt');
      const found = await runZot('scrub', server.configFile);
      assert.equal(found.exitCode, 2);
      assert.match(found.text, new RegExp(`team/app@sha256:${hex}: wrong-digest`));
      assert.equal((await fetch(blob)).status, 404);
      assert.equal((await fetch(target, upload)).status, 201);
      assert.equal(await (await fetch(blob)).text(), 'bytes that rot');
    } finally {
      await server.stop();
    }
  },
};

for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'))) {
  test(`${file} does what it says`, { timeout: 60_000 }, async () => {
    const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
    const config = parse(text.replaceAll('/var/lib', folder)) as Record<string, unknown>;
    const { http: _port, ...others } = config;
    const work = TESTS[file];
    assert.ok(work, 'an example without a test');
    await work(others);
  });
}
