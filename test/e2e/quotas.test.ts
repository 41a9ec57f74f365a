/** Byte quotas as clients meet them, with one serving process and with two. */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { errorOf, jsonOf, sendRequest, statusAndCode, type Answer, type Call } from './support/client.ts';
import { contentOf, imageOf, OCI_LAYER, type Content, type Image } from './support/content.ts';

const MEBIBYTE = 1024 * 1024;
const PATIENCE_MS = 20_000;

interface QuotaLine {
  readonly prefix: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly isExact: boolean;
}

/** A blob of a mebibyte that no other test has. */
function mebibyte(seed: string): Content {
  return contentOf(Buffer.alloc(MEBIBYTE, `${seed} `), OCI_LAYER);
}

for (const workers of [1, 2]) {
  describe(`quotas, with ${workers} serving`, { timeout: 180_000 }, () => {
    let server: RunningServer;
    before(async () => {
      const quotas = [
        { prefix: 'ten/', maxBytes: '10MiB' },
        { prefix: 'chunks', maxBytes: '10Mi' },
        { prefix: 'team', maxBytes: 1_000_000 },
        { prefix: 'team/small', maxBytes: 2000 },
        { prefix: 'closed', maxBytes: 0 },
        { prefix: 'moved', maxBytes: '1GiB' },
      ];
      server = await startServer({ config: { http: { workers }, storage: { quotas } } });
    });
    after(() => server.stop());

    const send = (method: string, target: string, call: Partial<Call> = {}): Promise<Answer> =>
      sendRequest(server.port, { ...call, method, target });

    const pushBlob = (repo: string, { digest, bytes }: Content): Promise<Answer> =>
      send('POST', `/v2/${repo}/blobs/uploads/?digest=${digest}`, { body: bytes });

    const pushManifest = (repo: string, { manifest }: Image, reference = 'latest'): Promise<Answer> =>
      send('PUT', `/v2/${repo}/manifests/${reference}`, {
        headers: { 'content-type': manifest.mediaType },
        body: manifest.bytes,
      });

    const pushImage = async (repo: string, image: Image): Promise<void> => {
      for (const blob of [image.config, ...image.layers])
        assert.equal((await pushBlob(repo, blob)).status, 201);
      assert.equal((await pushManifest(repo, image)).status, 201);
    };

    const quotaOf = async (prefix: string): Promise<QuotaLine> => {
      const { quotas } = jsonOf(await send('GET', '/v2/_zot/ext/quotas')) as { quotas: QuotaLine[] };
      const found = quotas.find((quota) => quota.prefix === prefix);
      assert.ok(found, `no quota for ${prefix}`);
      return found;
    };

    const until = (what: string, holds: () => Promise<boolean>): Promise<number> =>
      eventually(holds, PATIENCE_MS, what);

    it('admit exactly ten of a hundred mebibytes that are pushed at once', async () => {
      const pushes = Array.from({ length: 100 }, (_, at) =>
        pushBlob(`ten/app${at % 7}`, mebibyte(`ten ${at}`)),
      );
      const answers = await Promise.all(pushes);
      const taken = answers.filter(({ status }) => status === 201);
      assert.equal(taken.length, 10);
      for (const answer of answers) assert.match(statusAndCode(answer), /^(201|403 DENIED)$/);
      const { usedBytes, reservedBytes, isExact } = await quotaOf('ten');
      assert.deepEqual(
        { usedBytes, reservedBytes, isExact },
        { usedBytes: 10 * MEBIBYTE, reservedBytes: 0, isExact: true },
      );
    });

    it('are never exceeded by uploads of unknown length, and those that are refused hold nothing', async () => {
      const upload = async (at: number): Promise<Answer> => {
        const { digest, bytes } = mebibyte(`chunks ${at}`);
        const begun = await send('POST', '/v2/chunks/app/blobs/uploads/');
        if (begun.status !== 202) return begun;
        const target = begun.headers.location ?? '';
        const body = [bytes.subarray(0, 300_000), bytes.subarray(300_000)];
        const sent = await send('PATCH', target, { body });
        if (sent.status === 202) return send('PUT', `${target}?digest=${digest}`);
        assert.equal(statusAndCode(await send('GET', target)), '404 BLOB_UPLOAD_UNKNOWN');
        return sent;
      };
      const atOnce = await Promise.all(Array.from({ length: 40 }, (_, at) => upload(at)));
      for (const answer of atOnce) assert.match(statusAndCode(answer), /^(201|403 DENIED)$/);
      const taken = atOnce.filter(({ status }) => status === 201).length;
      assert.ok(taken <= 10, `${taken} mebibytes`);
      assert.equal((await quotaOf('chunks')).reservedBytes, 0);
      for (let at = taken; at < 10; at += 1) assert.equal((await upload(100 + at)).status, 201);
      assert.equal(statusAndCode(await upload(200)), '403 DENIED');
      const { usedBytes, reservedBytes } = await quotaOf('chunks');
      assert.deepEqual({ usedBytes, reservedBytes }, { usedBytes: 10 * MEBIBYTE, reservedBytes: 0 });
    });

    it('refuse with the numbers, before the body is read', async () => {
      const { digest } = mebibyte('refused');
      // The body never comes: the answer does not wait for it.
      const headers = { 'content-length': 5 * MEBIBYTE, expect: '100-continue' };
      const answer = await send('POST', `/v2/team/app/blobs/uploads/?digest=${digest}`, {
        headers,
        body: [],
      });
      assert.equal(answer.status, 403);
      const { code, message, detail } = errorOf(answer);
      assert.equal(code, 'DENIED');
      assert.match(
        message,
        /^the quota of "team" is 976\.6 KiB, of which .* are used: there is no room for 5\.0 MiB$/,
      );
      const { quota, limit, used, reserved, asked } = detail;
      assert.deepEqual(
        { quota, limit, used, reserved, asked },
        {
          quota: 'team',
          limit: 1_000_000,
          used: (await quotaOf('team')).usedBytes,
          reserved: 0,
          asked: 5 * MEBIBYTE,
        },
      );
    });

    it('count a blob once for each prefix, mounts and manifests too', async () => {
      const image = imageOf('once', { annotations: { padding: 'x'.repeat(800) } });
      const all = [image.config, ...image.layers, image.manifest];
      const imageBytes = all.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const before = (await quotaOf('team')).usedBytes;
      await pushImage('team/one', image);
      await pushImage('team/two', image);
      assert.equal((await quotaOf('team')).usedBytes - before, imageBytes);
      assert.equal((await quotaOf('team/small')).usedBytes, 0);
      for (const { digest } of [image.config, ...image.layers]) {
        const mounted = await send('POST', `/v2/team/small/app/blobs/uploads/?mount=${digest}&from=team/one`);
        assert.equal(mounted.status, 201);
      }
      assert.equal((await pushManifest('team/small/app', image)).status, 201);
      assert.equal((await quotaOf('team')).usedBytes - before, imageBytes);
      assert.equal((await quotaOf('team/small')).usedBytes, imageBytes);
      // Another tag of a manifest that is there asks for nothing.
      assert.equal((await pushManifest('team/small/app', image, 'again')).status, 201);
    });

    it('refuse a mount and a manifest that have no room', async () => {
      const blob = contentOf('m'.repeat(1500), OCI_LAYER);
      assert.equal((await pushBlob('team/one', blob)).status, 201);
      const target = `/v2/team/small/app/blobs/uploads/?mount=${blob.digest}&from=team/one`;
      assert.equal(statusAndCode(await send('POST', target)), '403 DENIED');
      const image = imageOf('wide', { annotations: { padding: 'y'.repeat(1500) } });
      for (const { digest, bytes } of [image.config, ...image.layers])
        await send('POST', `/v2/team/small/app/blobs/uploads/?digest=${digest}`, { body: bytes });
      assert.equal(statusAndCode(await pushManifest('team/small/app', image)), '403 DENIED');
    });

    it('say at the begin of an upload that nothing is left', async () => {
      const answer = await send('POST', '/v2/closed/app/blobs/uploads/');
      assert.match(errorOf(answer).message, /^the quota of "closed" is 0 B, .*: nothing is left$/);
      assert.equal((await send('POST', '/v2/closed2/app/blobs/uploads/')).status, 202);
    });

    it('reserve for what has arrived, and let go of what is given up or deleted', async () => {
      const before = await quotaOf('team');
      const begun = await send('POST', '/v2/team/parts/blobs/uploads/');
      const target = begun.headers.location ?? '';
      assert.equal((await send('PATCH', target, { body: 'a'.repeat(1000) })).status, 202);
      assert.equal((await quotaOf('team')).reservedBytes, before.reservedBytes + 1000);
      assert.equal((await send('DELETE', target)).status, 204);
      assert.equal((await quotaOf('team')).reservedBytes, before.reservedBytes);
      const blob = contentOf('to be deleted', OCI_LAYER);
      assert.equal((await pushBlob('team/parts', blob)).status, 201);
      assert.equal((await quotaOf('team')).usedBytes, before.usedBytes + blob.bytes.length);
      assert.equal((await send('DELETE', `/v2/team/parts/blobs/${blob.digest}`)).status, 202);
      assert.equal((await quotaOf('team')).usedBytes, before.usedBytes);
    });

    it('let go of what was sent under a wrong digest', async () => {
      const before = await quotaOf('team');
      const { digest } = contentOf('another', OCI_LAYER);
      const wrong = await send('POST', `/v2/team/wrong/blobs/uploads/?digest=${digest}`, {
        body: 'something',
      });
      assert.equal(statusAndCode(wrong), '400 DIGEST_INVALID');
      assert.equal((await quotaOf('team')).reservedBytes, before.reservedBytes);
    });

    it('are found by discovery, with what they are', async () => {
      const answer = await send('GET', '/v2/_oci/ext/discover');
      assert.match(answer.text, /"\/v2\/_zot\/ext\/quotas"/);
    });

    it('change while the server runs: new ones are counted before they are in force', async () => {
      const image = imageOf('reload');
      await pushImage('later/app', image);
      const imageBytes = [image.config, ...image.layers, image.manifest].reduce(
        (sum, { bytes }) => sum + bytes.length,
        0,
      );
      const config = JSON.parse(await readFile(server.configFile, 'utf8')) as {
        storage: { quotas: { prefix: string; maxBytes: number | string }[] };
      };
      config.storage.quotas = [
        ...config.storage.quotas.slice(0, -1),
        { prefix: 'later', maxBytes: imageBytes },
      ];
      await writeFile(`${server.configFile}.new`, JSON.stringify(config));
      await rename(`${server.configFile}.new`, server.configFile);
      await until('the new quota is in force', async () => {
        const text = (await send('GET', '/v2/_zot/ext/quotas')).text;
        return text.includes('"later"') && !text.includes('"moved"');
      });
      assert.equal((await quotaOf('later')).usedBytes, imageBytes);
      await until('every process asks first', async () => {
        const answers = await Promise.all(
          Array.from({ length: 8 }, () => send('POST', '/v2/later/app/blobs/uploads/')),
        );
        return answers.every(({ status }) => status === 403);
      });
      assert.equal((await pushBlob('moved/app', contentOf('free again', OCI_LAYER))).status, 201);
    });
  });
}
