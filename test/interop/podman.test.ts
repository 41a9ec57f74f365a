import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { RunningServer } from '../support/server.ts';
import { mediaTypes } from './support/layout.ts';
import { runProgram, skipWithout, tryProgram } from './support/program.ts';
import { onlyOurs, openRegistry, type Registry } from './support/registry.ts';
import { assertServed, getManifest } from './support/served.ts';
import { USER, startTokenRegistry, waitForTokens } from './support/signed-in-registry.ts';
import { makeWorkspace, type Workspace } from './support/workspace.ts';

const skip = await skipWithout('podman');

/** podman with an image store of its own, so that nothing of the machine is touched. */
class Podman {
  readonly workspace: Workspace;

  private constructor(workspace: Workspace) {
    this.workspace = workspace;
  }

  static async make(): Promise<Podman> {
    const workspace = await makeWorkspace('podman');
    await writeFile(workspace.file('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    // The machine may know no registries and no short names: everything here is named in full.
    // Made by a sign-in, asked for by everything.
    await writeFile(workspace.file('auth.json'), '{}');
    await writeFile(workspace.file('registries.conf'), 'unqualified-search-registries = []\n');
    return new Podman(workspace);
  }

  async run(...args: readonly string[]): Promise<string> {
    return (
      await runProgram('podman', [...this.#store(), ...args], { env: this.#environment() })
    ).stdout.trim();
  }

  async refusal(...args: readonly string[]): Promise<string> {
    const outcome = await tryProgram('podman', [...this.#store(), ...args], { env: this.#environment() });
    assert.notEqual(outcome.exitCode, 0, `podman ${args.join(' ')} succeeded`);
    return outcome.stderr + outcome.stdout;
  }

  /** Builds an image of one layer that holds busybox and a text. */
  async build(name: string, note: string, ...more: readonly string[]): Promise<void> {
    const context = this.workspace.file('context');
    await mkdir(context, { recursive: true });
    await runProgram('cp', ['/bin/busybox', context]);
    await writeFile(`${context}/note.txt`, note);
    await writeFile(
      `${context}/Containerfile`,
      'FROM scratch\nCOPY busybox note.txt /\nCMD ["/busybox", "cat", "/note.txt"]\n',
    );
    const signature = ['--signature-policy', this.workspace.file('policy.json')];
    await this.run('build', '--isolation=chroot', ...signature, '--tag', name, ...more, context);
  }

  #store(): string[] {
    const { workspace } = this;
    return [
      '--root',
      workspace.file('store'),
      '--runroot',
      workspace.file('run'),
      '--storage-driver=vfs',
      '--cgroup-manager=cgroupfs',
      '--events-backend=none',
      '--tmpdir',
      workspace.file('tmp'),
    ];
  }

  #environment(): Record<string, string> {
    const { workspace } = this;
    return {
      CONTAINERS_REGISTRIES_CONF: workspace.file('registries.conf'),
      REGISTRY_AUTH_FILE: workspace.file('auth.json'),
    };
  }
}

describe('podman', { skip }, () => {
  let registry: Registry;
  let podman: Podman;
  before(async () => {
    registry = await openRegistry();
    podman = await Podman.make();
  });
  after(async () => {
    await registry.stop();
    await podman.workspace.remove();
  });

  const remote = (name: string): string => `${registry.host}/${name}`;
  const plain = (): string[] => [
    '--tls-verify=false',
    '--signature-policy',
    podman.workspace.file('policy.json'),
  ];

  test('builds, pushes and pulls an image', async () => {
    await podman.build(remote('podman/app:1'), 'a note');
    await podman.run('push', ...plain(), remote('podman/app:1'));
    const served = await getManifest(registry, 'podman/app', '1');
    assert.equal(served?.mediaType, mediaTypes.manifest);
    await assertServed(registry, 'podman/app', { ...served, size: served.bytes.byteLength });
    const id = await podman.run('image', 'inspect', '--format', '{{.Id}}', remote('podman/app:1'));
    await podman.run('rmi', remote('podman/app:1'));
    await podman.run('pull', ...plain(), remote('podman/app:1'));
    assert.equal(await podman.run('image', 'inspect', '--format', '{{.Id}}', remote('podman/app:1')), id);
    await podman.run('pull', ...plain(), `${remote('podman/app')}@${served.digest}`);
  });

  test('pushes Docker schema 2 where it is asked to', async () => {
    await podman.build(remote('podman/docker:1'), 'of docker', '--format=docker');
    await podman.run('push', '--format=v2s2', ...plain(), remote('podman/docker:1'));
    assert.equal((await getManifest(registry, 'podman/docker', '1'))?.mediaType, mediaTypes.dockerManifest);
  });

  test('makes a list of images, pushes all of it and reads it back', async () => {
    for (const name of ['a', 'b']) await podman.build(remote(`podman/part:${name}`), `part ${name}`);
    const list = remote('podman/list:1');
    await podman.run(
      'manifest',
      'create',
      list,
      ...['a', 'b'].map((name) => `containers-storage:${remote(`podman/part:${name}`)}`),
    );
    await podman.run('manifest', 'push', '--all', '--tls-verify=false', list, `docker://${list}`);
    const served = await getManifest(registry, 'podman/list', '1');
    assert.equal(served?.mediaType, mediaTypes.index);
    const count = await assertServed(registry, 'podman/list', { ...served, size: served.bytes.byteLength });
    assert.ok(count >= 7, 'the index, two images, their configs and layers');
    assert.match(await podman.run('manifest', 'inspect', list), /"digest"/);
  });

  test('lists the tags of a repository, and is told what does not exist', { skip: onlyOurs }, async () => {
    const tags = await podman.run('search', '--list-tags', '--tls-verify=false', remote('podman/app'));
    assert.match(tags, /\b1$/);
    assert.match(
      await podman.refusal('pull', ...plain(), remote('podman/nothing:1')),
      /manifest unknown|name unknown|not found/,
    );
  });
});

describe('podman with our own token endpoint', { skip: skip || onlyOurs }, () => {
  let registry: RunningServer;
  let podman: Podman;
  before(async () => {
    podman = await Podman.make();
    registry = await startTokenRegistry(podman.workspace);
  });
  after(async () => {
    assert.equal(await registry.stop(), 0);
    await podman.workspace.remove();
  });

  const remote = (name: string): string => `${registry.host}/${name}`;
  const plain = (): string[] => [
    '--tls-verify=false',
    '--signature-policy',
    podman.workspace.file('policy.json'),
  ];
  const login = (password: string): string[] => [
    'login',
    '--tls-verify=false',
    '--username',
    USER.name,
    '--password',
    password,
    registry.host,
  ];

  test('signs in, pushes, pulls and signs out, with tokens', async () => {
    await podman.build(remote('team/app:1'), 'signed in');
    assert.match(
      await podman.refusal('push', ...plain(), remote('team/app:1')),
      /unauthorized|authentication required/i,
    );
    assert.match(
      await podman.refusal(...login('a wrong password')),
      /invalid username|unauthorized|authentication/i,
    );
    assert.match(await podman.run(...login(USER.password)), /Login Succeeded/);
    await podman.run('push', ...plain(), remote('team/app:1'));
    await podman.run('rmi', remote('team/app:1'));
    await podman.run('pull', ...plain(), remote('team/app:1'));
    // For the sign-in, the push and the pull.
    await waitForTokens(registry, 3);
    assert.match(
      await podman.refusal('push', ...plain(), remote('team/app:1'), `docker://${remote('others/app:1')}`),
      /denied|Forbidden/i,
    );
    await podman.run('logout', registry.host);
    assert.match(
      await podman.refusal('pull', ...plain(), remote('team/app:1')),
      /unauthorized|authentication required/i,
    );
  });
});
