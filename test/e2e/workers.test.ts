import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer, type RunningServer } from '../support/server.ts';
import { sendRequest, statusAndCode, type Answer, type Call } from './support/client.ts';
import { contentOf, imageOf, OCI_MANIFEST, type Image } from './support/content.ts';
import { childrenOf } from './support/zot-process.ts';

const isLinux = process.platform === 'linux' ? false : 'only Linux runs several serving processes';

let server: RunningServer;
before(async () => {
  server = await startServer({ config: { http: { workers: 2 } } });
});
after(() => server.stop());

/** A request that a fault of the connection may end; `null` then. */
async function tryRequest(method: string, target: string, call: Partial<Call> = {}): Promise<Answer | null> {
  try {
    return await sendRequest(server.port, { ...call, method, target });
  } catch (error) {
    assert.match(String((error as NodeJS.ErrnoException).code), /^(ECONNRESET|ECONNREFUSED|EPIPE)$/);
    return null;
  }
}

/** Pushes an image, trying again as clients do, and counts what had to be tried again. */
async function pushPatiently(repo: string, image: Image): Promise<void> {
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    await patiently(201, 'POST', `/v2/${repo}/blobs/uploads/?digest=${digest}`, { body: bytes });
  }
  const headers = { 'content-type': OCI_MANIFEST };
  const { digest, bytes } = image.manifest;
  await patiently(201, 'PUT', `/v2/${repo}/manifests/${digest}`, { headers, body: bytes });
}

async function patiently(status: number, method: string, target: string, call: Partial<Call>): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  for (;;) {
    const answer = await tryRequest(method, target, call);
    if (answer?.status === status) return;
    if (answer !== null) {
      assert.equal(statusAndCode(answer), '503 UNAVAILABLE', `${method} ${target}`);
      assert.ok(Number(answer.headers['retry-after']) > 0);
    }
    assert.ok(performance.now() < deadlineMs, `${method} ${target} is never taken`);
  }
}

async function childOf(words: string): Promise<number[]> {
  return (await childrenOf(server.pid)).filter((child) => child.words.includes(words)).map(({ pid }) => pid);
}

/** Pushes all the time while something happens, and proves at the end that all is there. */
async function underLoad(repo: string, happen: () => Promise<void>): Promise<void> {
  let isDone = false;
  const pushed: Image[] = [];
  const pushing = async (client: number): Promise<void> => {
    for (let at = 0; !isDone; at += 1) {
      const image = imageOf(`${repo} ${client} ${at}`);
      await pushPatiently(repo, image);
      pushed.push(image);
    }
  };
  const clients = [pushing(1), pushing(2), pushing(3)];
  try {
    await happen();
  } finally {
    isDone = true;
  }
  await Promise.all(clients);
  assert.ok(pushed.length >= clients.length);
  for (const { manifest } of pushed) {
    const answer = await sendRequest(server.port, {
      method: 'GET',
      target: `/v2/${repo}/manifests/${manifest.digest}`,
    });
    assert.ok(answer.body.equals(manifest.bytes));
  }
}

const until = (what: string, isSo: () => Promise<boolean>): Promise<number> => eventually(isSo, 15_000, what);

test('a keeper and two serving processes stand below the first process', { skip: isLinux }, async () => {
  const children = await childrenOf(server.pid);
  assert.equal(children.length, 3);
  assert.equal((await childOf('internal-keeper')).length, 1);
});

test(
  'a serving process that is killed under load costs its own connections only, and is replaced',
  { skip: isLinux },
  async () => {
    const [victim = 0, other = 0] = await childOf('internal-worker');
    await underLoad('kill/worker', async () => {
      process.kill(victim, 'SIGKILL');
      await until('a new serving process', async () => {
        const now = await childOf('internal-worker');
        return now.length === 2 && now.includes(other) && !now.includes(victim);
      });
    });
  },
);

test(
  'a keeper that is killed under load delays pushes or answers 503; pulls go on',
  { skip: isLinux },
  async () => {
    const image = imageOf('pulled meanwhile');
    await pushPatiently('kill/pull', image);
    const [victim = 0] = await childOf('internal-keeper');
    await underLoad('kill/keeper', async () => {
      process.kill(victim, 'SIGKILL');
      await until('a new keeper', async () => {
        const pull = await sendRequest(server.port, {
          method: 'GET',
          target: `/v2/kill/pull/manifests/${image.manifest.digest}`,
        });
        assert.equal(pull.status, 200);
        const now = await childOf('internal-keeper');
        return now.length === 1 && !now.includes(victim);
      });
    });
    await until('readiness', async () => (await tryRequest('GET', '/readyz'))?.status === 200);
  },
);

test('an upload whose serving process is killed goes on in another', { skip: isLinux }, async () => {
  const blob = contentOf(Buffer.alloc(3_000_000, 7), 'application/octet-stream');
  const start = await sendRequest(server.port, { method: 'POST', target: '/v2/kill/upload/blobs/uploads/' });
  const session = String(start.headers.location);
  const first = { body: blob.bytes.subarray(0, 2_000_000) };
  assert.equal((await sendRequest(server.port, { method: 'PATCH', target: session, ...first })).status, 202);
  for (const pid of await childOf('internal-worker')) process.kill(pid, 'SIGKILL');
  await until('a serving process', async () => (await tryRequest('GET', '/v2/'))?.status === 200);
  const status = await sendRequest(server.port, { method: 'GET', target: session });
  assert.equal(status.headers.range, '0-1999999');
  const rest = { body: blob.bytes.subarray(2_000_000) };
  await patiently(201, 'PUT', `${session}?digest=${blob.digest}`, rest);
});

test('when the first process is killed the others stop by themselves', { skip: isLinux }, async () => {
  const lonely = await startServer({ config: { http: { workers: 2 } } });
  const pids = (await childrenOf(lonely.pid)).map(({ pid }) => pid);
  assert.equal(pids.length, 3);
  process.kill(lonely.pid, 'SIGKILL');
  await until('the end of all', async () => pids.every((pid) => !isAlive(pid)));
  await lonely.stop();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // There is no such process any more.
    return false;
  }
}
