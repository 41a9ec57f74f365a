/**
 * Access as a large installation has it: a password file, a thousand patterns, one of which is that of the
 * benchmark.
 */
import { writeFileSync } from 'node:fs';
import { hashSync } from 'bcryptjs';

/** Behind the name of a subject in tables. */
export const WITH_ACCESS = 'signed in, 1000 policies';

const POLICIES = 1000;
const USER = 'bench';
const PASSWORD = 'bench-password';
const ALL = ['read', 'create', 'update', 'delete'];

export const AUTHORIZATION = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;

/** Writes the password file and gives the keys of `http` that use it. */
export function accessOf(passwordFile: string): object {
  writeFileSync(passwordFile, `${USER}:${hashSync(PASSWORD, 10)}\n`, { mode: 0o600 });
  const teams = Array.from({ length: POLICIES - 2 }, (_, at): [string, object] => [
    `team-${at}/**`,
    { policies: [{ users: [`user-${at}`], actions: ALL }] },
  ]);
  const repositories = {
    'bench/**': { policies: [{ users: [USER], actions: ALL }] },
    // So that the door is open to the question whether the server runs.
    'public/**': { anonymousPolicy: ['read'] },
    ...Object.fromEntries(teams),
  };
  return { auth: { htpasswd: { path: passwordFile } }, accessControl: { repositories } };
}
