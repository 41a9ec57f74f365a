/** Configurations of access, each with what its callers may do, written down without looking at the code. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hashSync } from 'bcryptjs';

export type Right = 'read' | 'create' | 'update' | 'delete';

/** Who a request comes from. The last three offer credentials that are worth nothing. */
export const CALLERS = [
  'nobody',
  'outsider',
  'reader',
  'writer',
  'owner',
  'root',
  'wrong',
  'strange',
  'twice',
] as const;
export type Caller = (typeof CALLERS)[number];

const USERS = ['outsider', 'reader', 'writer', 'owner', 'root'] as const;
const ALL: readonly Right[] = ['read', 'create', 'update', 'delete'];

export interface World {
  readonly name: string;
  readonly http: Record<string, unknown>;
  /** Whether there are names and passwords at all: otherwise those of a request are not looked at. */
  readonly hasPasswords: boolean;
  /** The repository that is asked about. */
  readonly repo: string;
  /** Somebody who may prepare what a request needs; `null` where nobody may. */
  readonly helper: Caller | null;
  /** Whether `/v2/` and filtered lists answer callers without a name. */
  readonly admitsNobody: boolean;
  rightsOf(caller: Caller): readonly Right[];
}

/** A password file: every name has a password of its own, the name with `-secret` behind it. */
export function htpasswdOf(users: readonly string[]): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'zot-access-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'htpasswd');
  writeFileSync(file, users.map((user) => `${user}:${hashSync(`${user}-secret`, 4)}\n`).join(''));
  return file;
}

export function passwordOf(user: string): string {
  return `${user}-secret`;
}

export function basic(user: string, password = passwordOf(user)): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

let wrongNames = 0;

/** The Authorization header, or headers, of a caller. */
export function authorizationOf(caller: Caller): string | string[] | undefined {
  switch (caller) {
    case 'nobody':
      return undefined;
    case 'wrong':
      // A new name each time: what is counted by name must not get in the way.
      wrongNames += 1;
      return basic(`guest-${wrongNames}`, 'guess');
    case 'strange':
      return 'Bearer abc';
    case 'twice':
      return [basic('root'), basic('root')];
    default:
      return basic(caller);
  }
}

export function isWorthless(caller: Caller): boolean {
  return caller === 'wrong' || caller === 'strange' || caller === 'twice';
}

const TEAM = {
  policies: [
    { users: ['reader'], actions: ['read'] },
    { users: ['writer'], actions: ['read', 'create'] },
    { users: ['owner'], actions: ALL },
  ],
};
const RIGHTS_OF_TEAM: Readonly<Partial<Record<Caller, readonly Right[]>>> = {
  reader: ['read'],
  writer: ['read', 'create'],
  owner: ALL,
  root: ALL,
};
const ADMIN = { users: ['root'], actions: ALL };

export function worlds(): World[] {
  const auth = { htpasswd: { path: htpasswdOf(USERS) }, apikey: true };
  const known = { hasPasswords: true, helper: 'root' as const };
  const team = (caller: Caller): readonly Right[] => RIGHTS_OF_TEAM[caller] ?? [];
  return [
    {
      name: 'policies, nothing for anonymous callers',
      http: { auth, accessControl: { repositories: { 'team/**': TEAM }, adminPolicy: ADMIN } },
      ...known,
      repo: 'team/app',
      admitsNobody: false,
      rightsOf: team,
    },
    {
      name: 'policies, a private repository beside a public one',
      http: {
        auth,
        accessControl: {
          repositories: { 'team/**': TEAM, 'pub/**': { anonymousPolicy: ['read'], defaultPolicy: ['read'] } },
          adminPolicy: ADMIN,
        },
      },
      ...known,
      repo: 'team/app',
      admitsNobody: true,
      rightsOf: team,
    },
    {
      name: 'policies, the public repository',
      http: {
        auth,
        accessControl: {
          repositories: { 'team/**': TEAM, 'pub/**': { anonymousPolicy: ['read'], defaultPolicy: ['read'] } },
          adminPolicy: ADMIN,
        },
      },
      ...known,
      repo: 'pub/app',
      admitsNobody: true,
      rightsOf: (caller) => (caller === 'root' ? ALL : ['read']),
    },
    {
      name: 'passwords without policies',
      http: { auth },
      ...known,
      repo: 'team/app',
      admitsNobody: false,
      rightsOf: (caller) => (caller === 'nobody' ? [] : ALL),
    },
    {
      name: 'policies for anonymous callers, no way to sign in',
      http: { accessControl: { repositories: { 'pub/**': { anonymousPolicy: ['read'] } } } },
      hasPasswords: false,
      helper: null,
      repo: 'pub/app',
      admitsNobody: true,
      rightsOf: () => ['read'],
    },
    {
      name: 'nothing configured',
      http: {},
      hasPasswords: false,
      helper: 'nobody',
      repo: 'team/app',
      admitsNobody: true,
      rightsOf: () => ALL,
    },
  ];
}
