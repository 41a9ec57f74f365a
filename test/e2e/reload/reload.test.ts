import assert from 'node:assert/strict';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import bcrypt from 'bcryptjs';
import { eventually } from '../../support/eventually.ts';
import { startServer, type RunningServer } from '../../support/server.ts';

/** Longer than a change may take, for a machine that is busy with other tests. */
const PATIENCE_MS = 20_000;
const basic = (name: string): string => `Basic ${Buffer.from(`${name}:secret-of-all`).toString('base64')}`;

const until = (what: string, holds: () => Promise<boolean> | boolean): Promise<number> =>
  eventually(holds, PATIENCE_MS, what);

type Written = Record<string, Record<string, unknown>>;

/** Every answer counts, since any of the serving processes may give it. */
async function statusOf(server: RunningServer, target: string, user = ''): Promise<number> {
  const headers = { connection: 'close', ...(user === '' ? {} : { authorization: basic(user) }) };
  const answer = await fetch(`${server.url}${target}`, { headers });
  await answer.arrayBuffer();
  return answer.status;
}

async function allAnswer(server: RunningServer, target: string, status: number, user = ''): Promise<boolean> {
  const statuses = await Promise.all(Array.from({ length: 12 }, () => statusOf(server, target, user)));
  return statuses.every((one) => one === status);
}

for (const workers of [1, 2]) {
  describe(`a changed configuration, with ${workers} serving`, { timeout: 180_000 }, () => {
    let server: RunningServer;
    let written: Written;
    let passwords: string;

    before(async () => {
      server = await startServer({ config: { http: { workers } } });
      written = JSON.parse(await readFile(server.configFile, 'utf8')) as Written;
      passwords = path.join(server.root, '..', 'htpasswd');
      await writeFile(passwords, `alice:${bcrypt.hashSync('secret-of-all', 4)}\n`);
    });
    after(() => server.stop());

    const write = async (change: (config: Written) => void): Promise<void> => {
      const next = structuredClone(written);
      change(next);
      written = next;
      const beside = `${server.configFile}.new`;
      await writeFile(beside, JSON.stringify(next));
      await rename(beside, server.configFile);
    };

    it('enforces access control where there was none, on every process', async () => {
      assert.equal(await statusOf(server, '/v2/_catalog'), 200);
      await write((config) => {
        config['http'] = {
          ...config['http'],
          auth: { htpasswd: { path: passwords } },
          accessControl: {
            repositories: { 'a/**': { policies: [{ users: ['alice'], actions: ['read'] }] } },
          },
        };
      });
      await until('nobody may read', () => allAnswer(server, '/v2/a/b/tags/list', 401));
      assert.equal(await statusOf(server, '/v2/a/b/tags/list', 'alice'), 404);
      assert.equal(await statusOf(server, '/v2/b/tags/list', 'alice'), 403);
    });

    it('keeps what is in force when the new file is broken, and says so', async () => {
      const whole = JSON.stringify(written);
      await writeFile(server.configFile, whole.slice(0, whole.length / 2));
      await until('the log says so', () =>
        server.stdout().includes('failed to reload config, retry writing it.'),
      );
      assert.ok(await allAnswer(server, '/v2/a/b/tags/list', 401));
      await writeFile(server.configFile, whole);
    });

    it('takes nothing over when one part of it cannot be had', async () => {
      const keys = written['http'] as { auth: Record<string, unknown> };
      await write((config) => {
        config['http'] = {
          ...keys,
          auth: { htpasswd: { path: '/nowhere/htpasswd' } },
          accessControl: undefined,
        };
      });
      await until(
        'the log names the file',
        () => /failed to reload[^\n]*/.test(server.stdout()) && server.stdout().includes('/nowhere/htpasswd'),
      );
      assert.ok(await allAnswer(server, '/v2/a/b/tags/list', 401));
    });

    it('follows the swap of links of Kubernetes', async () => {
      const folder = path.dirname(server.configFile);
      const target = async (name: string, actions: string[]): Promise<void> => {
        await mkdir(path.join(folder, name));
        const config = structuredClone(written);
        config['http'] = {
          ...config['http'],
          auth: { htpasswd: { path: passwords } },
          accessControl: { repositories: { '**': { anonymousPolicy: actions } } },
        };
        await writeFile(path.join(folder, name, 'config.json'), JSON.stringify(config));
      };
      await target('..1', ['read']);
      await target('..2', []);
      await symlink('..1', path.join(folder, '..data'));
      await rm(server.configFile);
      await symlink('..data/config.json', server.configFile);
      await until('everybody may read', () => allAnswer(server, '/v2/a/b/tags/list', 404));
      await symlink('..2', path.join(folder, '..new'));
      await rename(path.join(folder, '..new'), path.join(folder, '..data'));
      await until('nobody may read', () => allAnswer(server, '/v2/a/b/tags/list', 401));
    });

    it('takes a directory in and out again, and drops no request meanwhile', async () => {
      await rm(server.configFile);
      let isDone = false;
      const statuses = new Set<number>();
      const asking = (async () => {
        while (!isDone) statuses.add(await statusOf(server, '/v2/a/b/tags/list'));
      })();
      const ldap = { address: '127.0.0.1', port: 1, insecure: true, baseDN: 'dc=x', userAttribute: 'uid' };
      for (const auth of [{ ldap }, { htpasswd: { path: passwords } }]) {
        await write((config) => {
          config['http'] = { ...config['http'], auth, accessControl: undefined };
        });
        const status = 'ldap' in auth ? 503 : 404;
        await until(`alice gets ${status}`, () => allAnswer(server, '/v2/a/b/tags/list', status, 'alice'));
      }
      isDone = true;
      await asking;
      assert.deepEqual([...statuses], [401]);
    });

    // One process alone has nobody to start it again.
    if (workers > 1) {
      it('has every process that is started again begin with what is in force', async () => {
        await write((config) => {
          config['http'] = {
            ...config['http'],
            accessControl: { repositories: { 'a/**': { anonymousPolicy: ['read'] } } },
          };
        });
        await until('everybody may read', () => allAnswer(server, '/v2/a/b/tags/list', 404));
        const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8');
        for (const pid of children.trim().split(' ')) process.kill(Number(pid), 'SIGKILL');
        const isBack = async (): Promise<boolean> => {
          try {
            return await allAnswer(server, '/v2/a/b/tags/list', 404);
          } catch {
            return false;
          }
        };
        await until('they are back, and judge by the new policy', isBack);
      });
    }

    it('names what waits for a restart, and changes the log level at once', async () => {
      await write((config) => {
        config['http'] = { ...config['http'], realm: 'x', auth: undefined, accessControl: undefined };
        config['log'] = { level: 'error' };
      });
      await until('open again', () => allAnswer(server, '/v2/b/tags/list', 404));
      assert.equal(await statusOf(server, '/v2/quiet/tags/list'), 404);
      await write((config) => {
        config['log'] = { level: 'info' };
      });
      const named = '"keys":["http.realm"],"message":"these changes wait for a restart"';
      await until('the log is back', () => server.stdout().includes(named));
      assert.ok(!server.stdout().includes('/v2/quiet'), 'nothing was logged at the level error');
    });
  });
}
