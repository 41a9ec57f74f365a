import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import bcrypt from 'bcryptjs';
import { startServer, type RunningServer } from '../../support/server.ts';

type Line = Readonly<Record<string, unknown>>;

const PASSWORD = 'correct-horse-battery-staple';
const WRONG = 'an-old-password-of-alice';
const CODE = 'code-of-a-provider-4711';
const basic = (name: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

describe('the audit log', { timeout: 120_000 }, () => {
  let server: RunningServer;
  let folder: string;
  let audit: string;
  const secrets: string[] = [PASSWORD, WRONG, CODE];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'zot-audit-'));
    audit = path.join(folder, 'audit.log');
    const passwords = path.join(folder, 'htpasswd');
    await writeFile(passwords, `alice:${bcrypt.hashSync(PASSWORD, 4)}\n`);
    server = await startServer({
      config: {
        http: {
          workers: 2,
          auth: { htpasswd: { path: passwords }, apikey: true },
          accessControl: {
            repositories: { 'a/**': { policies: [{ users: ['alice'], actions: ['read', 'create'] }] } },
          },
        },
        log: { level: 'debug', audit },
      },
      root: path.join(folder, 'data'),
    });
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  const ask = async (method: string, target: string, headers: Record<string, string> = {}, body?: string) => {
    const answer = await fetch(`${server.url}${target}`, {
      method,
      headers: { connection: 'close', ...headers },
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.status, text: await answer.text(), cookies: answer.headers.getSetCookie() };
  };

  const parsed = (text: string): Line[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  const linesOf = async (file: string): Promise<Line[]> => parsed(await readFile(file, 'utf8'));

  const waitFor = async (file: string, isIt: (line: Line) => boolean): Promise<Line> => {
    for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs;) {
      const found = (await linesOf(file).catch(() => [])).find(isIt);
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`no such line in ${file}: ${String(isIt)}`);
  };

  it('has zot’s fields for what changes something', async () => {
    const { status } = await ask('POST', '/v2/a/b/blobs/uploads/', basic('alice', PASSWORD));
    assert.equal(status, 202);
    const {
      time,
      clientIP,
      requestId,
      process: by,
      ...rest
    } = await waitFor(audit, ({ status: one }) => one === 202);
    assert.deepEqual(rest, {
      level: 'info',
      message: 'HTTP API Audit',
      component: 'session',
      subject: 'alice',
      action: 'POST',
      object: '/v2/a/b/blobs/uploads/',
      status: 202,
      method: 'htpasswd',
    });
    assert.match(String(clientIP), /^127\.0\.0\.1:\d+$/);
    assert.ok(String(time) !== '' && String(requestId) !== '' && /^worker-\d$/.test(String(by)));
    assert.equal((await stat(audit)).mode & 0o777, 0o600);
  });

  it('has sign-ins, refusals and failures, and why', async () => {
    const signIn = await waitFor(audit, ({ action, subject }) => action === 'sign-in' && subject === 'alice');
    assert.deepEqual([signIn['object'], signIn['clientIP']], ['htpasswd', '127.0.0.1']);
    assert.equal((await ask('GET', '/v2/a/b/tags/list', basic('alice', WRONG))).status, 401);
    const wrong = await waitFor(audit, ({ status }) => status === 401);
    assert.deepEqual([wrong['subject'], wrong['claimed']], ['anonymous', 'alice']);
    assert.match(String(wrong['reason']), /wrong/);
    assert.equal((await ask('DELETE', '/v2/a/b/manifests/x', basic('alice', PASSWORD))).status, 403);
    const denied = await waitFor(audit, ({ status }) => status === 403);
    assert.deepEqual([denied['subject'], denied['action']], ['alice', 'DELETE']);
  });

  it('has keys that are made and revoked, and never the keys', async () => {
    const made = await ask(
      'POST',
      '/zot/auth/apikey',
      basic('alice', PASSWORD),
      JSON.stringify({ label: 'ci' }),
    );
    assert.equal(made.status, 201);
    const { apiKey, uuid } = JSON.parse(made.text) as { apiKey: string; uuid: string };
    secrets.push(apiKey);
    assert.equal((await ask('GET', '/v2/a/b/tags/list', basic('alice', apiKey))).status, 404);
    const byKey = await waitFor(audit, ({ action, object }) => action === 'sign-in' && object === 'apikey');
    assert.deepEqual([byKey['subject'], byKey['clientIP']], ['alice', '127.0.0.1']);
    // Typed where the name belongs.
    await ask('GET', '/v2/a/b/tags/list', basic(apiKey, 'x'));
    assert.equal((await ask('DELETE', `/zot/auth/apikey?id=${uuid}`, basic('alice', PASSWORD))).status, 200);
    await waitFor(audit, ({ action, object }) => action === 'DELETE' && String(object).includes(uuid));
    await waitFor(audit, ({ claimed }) => claimed === '******');
  });

  it('masks secrets in queries, and writes nothing of reads', async () => {
    await ask('POST', `/zot/auth/callback/x?code=${CODE}&state=${CODE}&id_token=${CODE}`);
    const masked = await waitFor(audit, ({ object }) => String(object).includes('callback'));
    assert.equal(masked['object'], '/zot/auth/callback/x?code=******&state=******&id_token=******');
    assert.equal((await ask('GET', '/v2/')).status, 401);
    assert.equal((await ask('GET', '/v2/a/b/tags/list', basic('alice', PASSWORD))).status, 404);
    await ask('DELETE', '/v2/z/manifests/last');
    await waitFor(audit, ({ object }) => object === '/v2/z/manifests/last');
    // Lines of earlier requests may still have been on their way, so that only what came in between counts.
    const objects = (await linesOf(audit)).map(({ object }) => String(object));
    const between = objects.slice(objects.findIndex((object) => object.includes('callback')));
    assert.ok(!between.includes('/v2/'), 'a question without credentials is no event');
    assert.ok(!between.includes('/v2/a/b/tags/list'), 'a read is no event');
  });

  it('holds no line of a client’s own making', async () => {
    const hostile = 'x\u009b31m"}\u2028{"message":"forged"}\u202e';
    const latin = Buffer.from(hostile, 'utf8').toString('latin1');
    await ask('DELETE', '/v2/forged/manifests/x', {
      'user-agent': latin,
      ...basic(`eve\r\n${hostile}`, 'x'),
    });
    const line = await waitFor(audit, ({ object }) => object === '/v2/forged/manifests/x');
    assert.ok(String(line['claimed']).startsWith('eve'));
    for (const text of [server.stdout(), await readFile(audit, 'utf8')]) {
      assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u2028\u2029\u202a-\u202e]/u);
      for (const one of parsed(text)) assert.notEqual(one['message'], 'forged');
    }
  });

  it('has each change of the configuration, taken over or refused', async () => {
    const whole = await readFile(server.configFile, 'utf8');
    for (const [text, outcome] of [
      ['{', 'refused'],
      [whole.replace('a/**', 'b/**'), 'allowed'],
      [whole, 'allowed'],
    ] as const) {
      const count = (await linesOf(audit)).filter(({ action }) => action === 'reload').length;
      await writeFile(`${server.configFile}.new`, text);
      await rename(`${server.configFile}.new`, server.configFile);
      let reloads: Line[] = [];
      await waitFor(audit, ({ action }) => action === 'reload');
      for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs;) {
        reloads = (await linesOf(audit)).filter(({ action }) => action === 'reload');
        if (reloads.length > count) break;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      assert.deepEqual(
        [reloads.length, reloads.at(-1)?.['outcome'], reloads.at(-1)?.['object']],
        [count + 1, outcome, server.configFile],
      );
    }
  });

  it('goes on in a new file after SIGUSR2, from every process', async () => {
    await rename(audit, `${audit}.1`);
    process.kill(server.pid, 'SIGUSR2');
    let count = 0;
    for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs; count += 1) {
      await ask('DELETE', `/v2/z/manifests/rotated-${count}`);
      const by = new Set((await linesOf(audit).catch(() => [])).map((line) => line['process']));
      if (by.size === 2) break;
    }
    // The last lines may still be on their way.
    let rotated: Line[] = [];
    for (const deadlineMs = performance.now() + 20_000; performance.now() < deadlineMs;) {
      const all = [...(await linesOf(`${audit}.1`)), ...(await linesOf(audit))];
      rotated = all.filter(({ object }) => String(object).startsWith('/v2/z/manifests/rotated-'));
      if (rotated.length > count) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    assert.equal(rotated.length, count + 1, 'nothing was lost on the way');
  });

  it('and every other log hold no secret that was used', async () => {
    assert.equal(await server.stop(), 0);
    const files = (await readdir(folder)).filter((name) => name.includes('.log'));
    assert.equal(files.length, 2);
    const texts = [
      server.stdout(),
      ...(await Promise.all(files.map((name) => readFile(path.join(folder, name), 'utf8')))),
    ];
    const forms = secrets.flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      Buffer.from(`alice:${secret}`).toString('base64'),
    ]);
    for (const form of forms) assert.ok(!texts.some((text) => text.includes(form)), `a log holds ${form}`);
  });
});
