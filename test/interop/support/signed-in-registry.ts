import { hashSync } from 'bcryptjs';
import { writeFile } from 'node:fs/promises';
import { notePassword } from '../../support/secrets/noted.ts';
import { startServer, type RunningServer } from '../../support/server.ts';
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

/** How often tokens were given out, by the access log. */
export function tokensGiven(registry: RunningServer): number {
  const lines = registry.stdout().split('\n');
  return lines.filter((line) => line.includes('"/zot/auth/token') && line.includes('"statusCode":200'))
    .length;
}
