import { readStoredPassword } from './stored-password.ts';
import type { StoredPassword } from './stored-password.ts';

/** A password file as it counts: the last entry of each user. */
export interface HtpasswdFile {
  readonly users: ReadonlyMap<string, StoredPassword>;
  /** Kind and cost that most entries have: what the verification of an unknown user costs. */
  readonly usual: Pick<StoredPassword, 'kind' | 'cost'>;
  /** What is wrong with single lines, which count for nothing; without any hash. */
  readonly remarks: readonly string[];
}

export const HTPASSWD_BYTES_MAX = 16 * 1024 * 1024;
const USERS_MAX = 200_000;
const REMARKS_MAX = 20;
/** What nobody's password costs while the file has no usable entry: as `zot htpasswd` makes them. */
const USUAL_WITHOUT_USERS = { kind: 'bcrypt', cost: 10 } as const;

/**
 * Reads the text of a password file as zot does: `user:hash` lines, the first colon divides, lines without one count
 * for nothing, of several entries of a user the last one counts, also when it is unusable. Throws when there are more
 * users than any such file should have.
 */
export function parseHtpasswd(text: string): HtpasswdFile {
  const users = new Map<string, StoredPassword>();
  const remarks: string[] = [];
  const remark = (line: number, what: string): void => {
    if (remarks.length < REMARKS_MAX) remarks.push(`line ${line}: ${what}`);
  };
  for (const [at, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const entry = splitEntry(line);
    if (entry === null) continue;
    const { user, hash } = entry;
    if (user === '') {
      remark(at + 1, 'the name of the user is empty');
      continue;
    }
    const stored = readStoredPassword(hash);
    if (users.has(user))
      remark(at + 1, `the user ${JSON.stringify(user)} stands twice, the last entry counts`);
    if (typeof stored === 'string')
      remark(at + 1, `the user ${JSON.stringify(user)} cannot sign in: ${stored}`);
    if (typeof stored === 'string') users.delete(user);
    else users.set(user, stored);
    if (users.size > USERS_MAX) throw new Error(`the password file has more than ${USERS_MAX} users`);
  }
  return { users, usual: usualOf(users.values()), remarks };
}

/** The two sides of a line's first colon, `null` where there is none; a carriage return at its end is none of it. */
export function splitEntry(line: string): { readonly user: string; readonly hash: string } | null {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  const colon = text.indexOf(':');
  return colon === -1 ? null : { user: text.slice(0, colon), hash: text.slice(colon + 1) };
}

function usualOf(entries: Iterable<StoredPassword>): HtpasswdFile['usual'] {
  const counts = new Map<string, { readonly entry: StoredPassword; count: number }>();
  for (const entry of entries) {
    const key = `${entry.kind} ${entry.cost}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { entry, count: 1 });
    else known.count += 1;
  }
  const [most] = [...counts.values()].toSorted((a, b) => b.count - a.count);
  return most === undefined ? USUAL_WITHOUT_USERS : { kind: most.entry.kind, cost: most.entry.cost };
}
