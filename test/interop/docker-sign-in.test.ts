import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunningServer } from '../support/server.ts';
import { DockerDaemon } from './support/docker-daemon.ts';
import { skipWithout } from './support/program.ts';
import { onlyOurs } from './support/registry.ts';
import { USER, startTokenRegistry, waitForTokens } from './support/signed-in-registry.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip = onlyOurs || (await skipWithout('dockerd')) || (await skipWithout('docker'));

describe('docker with our own token endpoint', { skip }, () => {
  let workspace: Workspace;
  let registry: RunningServer;
  let daemon: DockerDaemon;
  before(async () => {
    workspace = await makeWorkspace('docker-sign-in');
    registry = await startTokenRegistry(workspace);
    daemon = await DockerDaemon.start(workspace);
  });
  after(async () => {
    assert.equal(await registry.stop(), 0);
    await daemon.stop();
    await workspace.remove();
  });

  const remote = (name: string): string => `${registry.host}/${name}`;
  const login = (password: string): ReturnType<DockerDaemon['try']> =>
    daemon.try('login', '--username', USER.name, '--password', password, registry.host);

  test('signs in, pushes, pulls and signs out, with tokens', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    await daemon.importImage(remote('team/app:1'));
    const before = await daemon.try('push', remote('team/app:1'));
    assert.notEqual(before.exitCode, 0);
    assert.match(
      before.stderr + before.stdout,
      /no basic auth credentials|unauthorized|authentication required/,
    );
    const wrong = await login('a wrong password');
    assert.notEqual(wrong.exitCode, 0);
    assert.match(wrong.stderr, /unauthorized|authentication required|incorrect username/i);

    const signedIn = await login(USER.password);
    assert.equal(signedIn.exitCode, 0, signedIn.stderr);
    assert.match(signedIn.stdout, /Login Succeeded/);
    await daemon.run('push', remote('team/app:1'));
    await daemon.run('tag', remote('team/app:1'), remote('team/copy:1'));
    assert.match(await daemon.run('push', remote('team/copy:1')), /Mounted from team\/app/);
    await daemon.run('rmi', remote('team/app:1'), remote('team/copy:1'));
    await daemon.run('pull', remote('team/app:1'));
    // For the sign-in, the pushes and the pull.
    await waitForTokens(registry, 4);

    await daemon.run('logout', registry.host);
    await daemon.run('rmi', remote('team/app:1'));
    assert.notEqual((await daemon.try('pull', remote('team/app:1'))).exitCode, 0);
  });

  test('is refused where its user may not push, whatever token it asks for', async (t) => {
    if (daemon.whyNot !== false) return t.skip(daemon.whyNot);
    assert.equal((await login(USER.password)).exitCode, 0);
    await daemon.importImage(remote('others/app:1'));
    const { exitCode, stderr, stdout } = await daemon.try('push', remote('others/app:1'));
    assert.notEqual(exitCode, 0);
    assert.match(stderr + stdout, /denied|unauthorized|authentication required|insufficient/i);
  });
});
