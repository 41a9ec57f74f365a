import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import process from 'node:process';
import { test } from 'node:test';
import { contentOf, digestOf, imageOf, pushBlob, pushImage, startUpload } from './support/content.ts';
import { filesBelow } from './support/folder.ts';
import { headOf, RawConnection } from './support/raw.ts';
import { serveRegistry } from './support/served.ts';

/** Clients of each kind; `SLOW_CLIENTS=1000` for the size of the reliability list (R20). */
const count = Number(process.env['SLOW_CLIENTS'] ?? '100');
/** Thousands that connect, stall and leave take their time on a busy machine. */
const patienceMs = 30_000 + count * 100;
const isLinux = process.platform === 'linux' ? false : 'open files are counted in /proc';

const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

test(
  'many clients that stall in every way leave nothing open and nothing behind',
  { skip: isLinux, timeout: 60_000 + 3 * patienceMs },
  async () => {
    const served = await serveRegistry({ http: { idleTimeout: '1s' } });
    try {
      const big = contentOf(Buffer.alloc(16 * 1024 * 1024, 1), 'application/octet-stream');
      await pushBlob(served, 'big', big);
      const sessions = await Promise.all(Array.from({ length: count }, () => startUpload(served, 'slow')));
      const filesBefore = await filesBelow(served.root);
      const filesOpenBefore = await openFiles();
      const texts = sessions.flatMap((session) => [
        headOf(`PATCH ${session}`, 'Content-Length: 100000') + 'x'.repeat(30_000),
        headOf(`POST /v2/slow/blobs/uploads/?digest=${digestOf('x')}`, 'Content-Length: 100000') +
          'x'.repeat(30_000),
        headOf(
          'PUT /v2/slow/manifests/v1',
          `Content-Type: ${imageOf('x').manifest.mediaType}`,
          'Content-Length: 900',
        ) + '{',
        headOf(`GET /v2/big/blobs/${big.digest}`),
      ]);
      const clients = await Promise.all(
        texts.map(async (text) => {
          const connection = await RawConnection.open(served.port);
          if (text.startsWith('GET')) connection.stopReading();
          connection.send(text);
          return connection;
        }),
      );
      // Others are served meanwhile.
      await pushImage(served, 'meanwhile', imageOf('meanwhile'), 'v1');
      // The line says that the server has given up a download, whose client has not read what the kernel holds for it:
      // gigabytes in all, which nobody needs to read here.
      await served.accessLines(`/v2/big/blobs/${big.digest}`, count, patienceMs);
      for (const [at, client] of clients.entries())
        if (texts[at]?.startsWith('GET') === true) client.vanish();
      await Promise.all(clients.map((client) => client.waitForEnd(patienceMs)));
      const filesAfter = (await filesBelow(served.root)).filter((name) => !name.startsWith('meanwhile/'));
      assert.deepEqual(filesAfter, filesBefore);
      for (const session of sessions.slice(0, 10)) {
        assert.equal((await served.request('GET', session)).headers.range, '0-29999');
      }
      const deadlineMs = performance.now() + 20_000;
      while ((await openFiles()) > filesOpenBefore)
        assert.ok(performance.now() < deadlineMs, 'files stay open');
    } finally {
      await served.close();
    }
  },
);
