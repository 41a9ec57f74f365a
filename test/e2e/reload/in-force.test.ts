/**
 * How soon a change is in force on every serving process: of a policy in the configuration, and of a password file.
 * The promise is a second; the times are measured and printed, and the bound of the test is wider, since a machine
 * that is busy with other tests may stretch any second.
 */
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { startServer, type RunningServer } from '../../support/server.ts';
import { basic, passwordFile } from '../access/sign-in.ts';
import type { PasswordFile } from '../access/sign-in.ts';
import { sendRequest } from '../support/client.ts';

const WORKERS = 3;
const BOUND_MS = 10_000;
/** Connections at once: with so many, the kernel leaves no process out for long. */
const CONNECTIONS = 12;

interface Asked {
  readonly id: string;
  readonly startedMs: number;
  readonly status: number;
}

describe('a change is in force on every process', { timeout: 120_000 }, () => {
  let server: RunningServer;
  let file: PasswordFile;
  let asked = 0;

  before(async () => {
    file = await passwordFile({ alice: 'secret-of-alice', bob: 'secret-of-bob' });
    const accessControl = {
      repositories: { '**': { policies: [{ users: ['alice', 'bob'], actions: ['read'] }] } },
    };
    server = await startServer({
      config: { http: { workers: WORKERS, auth: { htpasswd: { path: file.path } }, accessControl } },
    });
  });
  after(async () => {
    await server.stop();
    await file.remove();
  });

  async function ask(user: string, password: string): Promise<Asked> {
    asked += 1;
    const id = `in-force-${asked}`;
    const startedMs = performance.now();
    const headers = { ...basic(user, password), 'x-request-id': id };
    const { status } = await sendRequest(server.port, {
      method: 'GET',
      target: '/v2/app/tags/list',
      headers,
    });
    return { id, startedMs, status };
  }

  /** Asks all the time until every process has given the new answer, then says when each of them began to. */
  async function measure(
    context: TestContext,
    change: () => Promise<void>,
    credentials: readonly [string, string],
    status: number,
  ): Promise<void> {
    const answers: Asked[] = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => ask(...credentials)),
    );
    assert.ok(answers.every((answer) => answer.status !== status));
    await change();
    const changedMs = performance.now();
    const since = new Map<string, number>();
    while (since.size < WORKERS) {
      const now = await Promise.all(Array.from({ length: CONNECTIONS }, () => ask(...credentials)));
      answers.push(...now);
      for (const { id, startedMs } of now.filter((answer) => answer.status === status)) {
        const by = await processOf(id);
        if (!since.has(by)) since.set(by, startedMs - changedMs);
      }
      assert.ok(performance.now() - changedMs < BOUND_MS, `in force on ${[...since.keys()].join()} only`);
    }
    const lastMs = Math.max(...since.values());
    for (const { startedMs, status: one } of answers.filter(
      (answer) => answer.startedMs > changedMs + lastMs,
    ))
      assert.equal(one, status, `the old answer ${Math.round(startedMs - changedMs)} ms after the change`);
    const each = [...since].map(([by, ms]) => `${by} ${Math.round(ms)}`);
    context.diagnostic(`in force after ${Math.round(lastMs)} ms (${each.toSorted().join(', ')})`);
  }

  /** Which process answered a request, by the access log. */
  async function processOf(id: string): Promise<string> {
    for (const deadlineMs = performance.now() + BOUND_MS; performance.now() < deadlineMs;) {
      const line = server
        .stdout()
        .split('\n')
        .find((text) => text.includes(`"${id}"`));
      if (line !== undefined) return String((JSON.parse(line) as { readonly process?: unknown }).process);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`no line of the access log has ${id}`);
  }

  it('of a policy', async (context) => {
    const config = JSON.parse(await readFile(server.configFile, 'utf8')) as {
      http: { accessControl: unknown };
    };
    config.http.accessControl = {
      repositories: { '**': { policies: [{ users: ['bob'], actions: ['read'] }] } },
    };
    const beside = path.join(path.dirname(server.configFile), 'new.json');
    await writeFile(beside, JSON.stringify(config));
    await measure(context, () => rename(beside, server.configFile), ['alice', 'secret-of-alice'], 403);
  });

  it('of a password', async (context) => {
    const change = (): Promise<void> => file.replace({ bob: 'another-of-bob' });
    await measure(context, change, ['bob', 'secret-of-bob'], 401);
  });
});
