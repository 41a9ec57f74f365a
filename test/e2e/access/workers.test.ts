import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startServer } from '../../support/server.ts';
import type { RunningServer } from '../../support/server.ts';
import { sendRequest } from '../support/client.ts';
import type { Answer, Call } from '../support/client.ts';
import { contentOf, descriptorOf, manifestOf } from '../support/content.ts';
import { basic, htpasswdOf } from './worlds.ts';

/** Whichever serving process a request meets: each connection is a new one, and the kernel spreads them. */
let server: RunningServer;

before(async () => {
  server = await startServer({
    config: {
      http: {
        workers: 2,
        auth: { htpasswd: { path: htpasswdOf(['pusher', 'other']) } },
        accessControl: { repositories: { '**': { defaultPolicy: ['read', 'create'] } } },
      },
    },
  });
});

after(() => server.stop());

function request(user: string, method: string, target: string, call: Partial<Call> = {}): Promise<Answer> {
  const headers = { ...call.headers, authorization: basic(user) };
  return sendRequest(server.port, { ...call, method, target, headers });
}

const CONFIG = contentOf('{}', 'application/vnd.oci.empty.v1+json');

function put(user: string, reference: string, seed: string): Promise<Answer> {
  const manifest = manifestOf({ config: descriptorOf(CONFIG), layers: [], annotations: { seed } });
  const headers = { 'content-type': manifest.mediaType };
  const target = `/v2/app/manifests/${reference.replace('DIGEST', manifest.digest)}`;
  return request(user, 'PUT', target, { headers, body: manifest.bytes });
}

test('of pushes through several processes one makes a tag', async () => {
  const blob = await request('pusher', 'POST', `/v2/app/blobs/uploads/?digest=${CONFIG.digest}`, {
    body: CONFIG.bytes,
  });
  assert.equal(blob.status, 201);
  for (let round = 0; round < 5; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        put(
          at % 2 === 0 ? 'pusher' : 'other',
          at % 3 === 0 ? `DIGEST?tag=t${round}` : `t${round}`,
          `${round} ${at}`,
        ),
      ),
    );
    const made = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ status }) => status === 403);
    assert.deepEqual([made.length, refused.length], [1, 7]);
  }
});

test('every process knows whose an upload is', async () => {
  const begun = await request('pusher', 'POST', '/v2/app/blobs/uploads/');
  const target = begun.headers.location ?? '';
  for (let at = 0; at < 10; at += 1) {
    assert.equal((await request('other', 'GET', target)).status, 404);
    assert.equal((await request('pusher', 'GET', target)).status, 204);
  }
});
