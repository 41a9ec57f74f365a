import { hashSync } from 'bcryptjs';
import { writeFile } from 'node:fs/promises';
import { notePassword } from '../../support/secrets/noted.ts';
import { startServer, type RunningServer } from '../../support/server.ts';
import { eventually } from '../../support/eventually.ts';
import type { Workspace } from './workspace.ts';

export const USER = { name: 'alice', password: 'wonder:land of alice' } as const;

/**
 * A registry whose users sign in with a password, get tokens at its own token endpoint, and may work below `team`;
 * two processes serve it.
 */
export async function startTokenRegistry(workspace: Workspace): Promise<RunningServer> {
  // Clients send it where no test sees it.
  notePassword(USER.name, USER.password);
  await writeFile(workspace.file('htpasswd'), `${USER.name}:${hashSync(USER.password, 4)}\n`);
  const policies = [{ users: [USER.name], actions: ['read', 'create', 'update', 'delete'] }];
  const auth = { htpasswd: { path: workspace.file('htpasswd') }, token: { enable: true } };
  const accessControl = { repositories: { 'team/**': { policies } } };
  return startServer({ config: { http: { workers: 2, auth, accessControl } } });
}

/** Waits until the access log, which is written a little later, tells of so many tokens that were given out. */
export async function waitForTokens(registry: RunningServer, count: number): Promise<void> {
  const isToken = (line: string): boolean =>
    line.includes('"/zot/auth/token') && line.includes('"statusCode":200');
  const areGiven = async (): Promise<boolean> =>
    registry.stdout().split('\n').filter(isToken).length >= count;
  await eventually(areGiven, 10_000, `${count} tokens are given out`);
}
