import { splitEntry } from '../access/passwords/htpasswd-file.ts';
import { readStoredPassword } from '../access/passwords/stored-password.ts';

export interface ListedUser {
  readonly user: string;
  /** `bcrypt, cost 10`, or why the entry counts for nothing. */
  readonly password: string;
  readonly usable: boolean;
}

/** The users of a password file in its order, each as its last entry says. */
export function listUsers(text: string): readonly ListedUser[] {
  const users = new Map<string, ListedUser>();
  for (const line of text.split('\n')) {
    const entry = splitEntry(line);
    if (entry === null) continue;
    const stored = readStoredPassword(entry.hash);
    const unit = typeof stored !== 'string' && stored.kind !== 'bcrypt' ? 'rounds' : 'cost';
    const password = typeof stored === 'string' ? stored : `${stored.kind}, ${unit} ${stored.cost}`;
    users.set(entry.user, { user: entry.user, password, usable: typeof stored !== 'string' });
  }
  return [...users.values()];
}

/** The hash of a user, `null` without one. */
export function hashOfUser(text: string, user: string): string | null {
  const entries = text.split('\n').map(splitEntry);
  return entries.findLast((entry) => entry?.user === user)?.hash ?? null;
}

/**
 * The text with one entry for the user, in the place of the first one there was or at the end; `null` removes all.
 * Every other line stays as it is.
 */
export function withUser(text: string, user: string, hash: string | null): string {
  const lines = text.split('\n');
  const isTheirs = (line: string): boolean => splitEntry(line)?.user === user;
  const first = lines.findIndex(isTheirs);
  const ending = lines[first === -1 ? 0 : first]?.endsWith('\r') === true ? '\r' : '';
  const entry = hash === null ? [] : [`${user}:${hash}${ending}`];
  if (first !== -1) {
    return [
      ...lines.slice(0, first),
      ...entry,
      ...lines.slice(first + 1).filter((line) => !isTheirs(line)),
    ].join('\n');
  }
  if (hash === null) return text;
  const gap = text === '' || text.endsWith('\n') ? '' : `${ending}\n`;
  return `${text}${gap}${entry.join('')}\n`;
}
