/** What quotas know after an end in order and after a kill. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startServer, type RunningServer } from '../support/server.ts';
import { jsonOf, sendRequest, statusAndCode, type Answer, type Call } from './support/client.ts';
import { imageOf } from './support/content.ts';

const PATIENCE_MS = 20_000;
const image = imageOf('restart');
const blobs = [image.config, ...image.layers];
const usedBytes = [...blobs, image.manifest].reduce((sum, { bytes }) => sum + bytes.length, 0);

for (const workers of [1, 2]) {
  describe(`quotas after a restart, with ${workers} serving`, { timeout: 120_000 }, () => {
    let root = '';
    let server: RunningServer;
    const config = {
      http: { workers },
      storage: { quotas: [{ prefix: 'team', maxBytes: usedBytes + 1000 }] },
    };
    const send = (method: string, target: string, call: Partial<Call> = {}): Promise<Answer> =>
      sendRequest(server.port, { ...call, method, target });
    const standing = async (): Promise<unknown> => jsonOf(await send('GET', '/v2/_zot/ext/quotas'));

    before(async () => {
      root = await mkdtemp(path.join(tmpdir(), 'zot-quotas-'));
      server = await startServer({ root, config });
    });
    after(async () => {
      await server.stop();
      await rm(root, { recursive: true, force: true });
    });

    it('are those of before, uploads under way included', async () => {
      for (const { digest, bytes } of blobs)
        assert.equal(
          (await send('POST', `/v2/team/app/blobs/uploads/?digest=${digest}`, { body: bytes })).status,
          201,
        );
      const headers = { 'content-type': image.manifest.mediaType };
      const put = { headers, body: image.manifest.bytes };
      assert.equal((await send('PUT', '/v2/team/app/manifests/v1', put)).status, 201);
      const begun = await send('POST', '/v2/team/app/blobs/uploads/');
      const upload = begun.headers.location ?? '';
      assert.equal((await send('PATCH', upload, { body: 'u'.repeat(600) })).status, 202);
      const quota = {
        prefix: 'team',
        maxBytes: usedBytes + 1000,
        usedBytes,
        reservedBytes: 600,
        isExact: true,
      };
      assert.deepEqual(await standing(), { quotas: [quota] });
      for (const end of ['in order', 'by a kill'] as const) {
        if (end === 'by a kill') await server.kill();
        await server.stop();
        server = await startServer({ root, config });
        const deadlineMs = performance.now() + PATIENCE_MS;
        while (JSON.stringify(await standing()) !== JSON.stringify({ quotas: [quota] }))
          assert.ok(performance.now() < deadlineMs, `${end}: ${JSON.stringify(await standing())}`);
        const { digest } = image.manifest;
        const headersOf = { 'content-length': 401 };
        const refused = send('POST', `/v2/team/b/blobs/uploads/?digest=${digest}`, {
          headers: headersOf,
          body: [],
        });
        assert.equal(statusAndCode(await refused), '403 DENIED');
      }
      assert.equal((await send('PATCH', upload, { body: 'u'.repeat(400) })).status, 202);
      assert.equal((await send('DELETE', upload)).status, 204);
    });
  });
}
