import { nearestName } from '#lib/edit-distance';
import { formatPath, type Path } from './problems.ts';
import type { KeyShape } from './schema/walk.ts';

/** A key that its object does not have. */
export interface UnknownKey {
  readonly written: string;
  readonly member: unknown;
  /** The keys that the object has. */
  readonly siblings: ReadonlyMap<string, KeyShape>;
  /** The object's place. */
  readonly path: Path;
}

/** Keys of old versions of zot, by lower-case name, with what to write instead. */
const removed = new Map([
  ['gcreferrers', 'it was removed: use "deleteReferrers" in the policies of "storage.retention"'],
  ['untaggedimageretentiondelay', 'it was removed: use "storage.retention.delay"'],
  ['binddn', 'it was moved: put "bindDN" and "bindPassword" into a file and name it in "credentialsFile"'],
  [
    'bindpassword',
    'it was moved: put "bindDN" and "bindPassword" into a file and name it in "credentialsFile"',
  ],
  [
    'allowreadaccess',
    'it was removed: use "http.accessControl" with {"repositories": {"**": {"anonymousPolicy": ["read"]}}}',
  ],
  [
    'readonly',
    'it was removed: use "storage.readOnly", or "http.accessControl" with policies that permit only "read"',
  ],
  ['userprefs', 'it was removed: preferences of users are on where both "search" and "ui" are'],
]);

/** Where a removed key once stood; elsewhere its name is only an unknown one. */
const removedFrom = new Map([
  ['binddn', 'ldap'],
  ['bindpassword', 'ldap'],
  ['userprefs', 'extensions'],
]);

/** Says that a key is unknown, and what was perhaps meant. */
export function describeUnknownKey(key: UnknownKey): string {
  const advice = removedAdvice(key) ?? suggestion(key);
  return `unknown key "${key.written}"${advice === null ? '' : `; ${advice}`}`;
}

function removedAdvice({ written, path, member }: UnknownKey): string | null {
  const name = written.toLowerCase();
  const parent = path.at(-1);
  if (parent === 'accessControl' && isPolicy(member)) {
    return 'patterns of repositories were moved: put them under "repositories"';
  }
  if (parent === 'cve' && name === 'enable') return 'it was removed: scanning is on where "cve" is present';
  const from = removedFrom.get(name);
  return from === undefined || from === parent ? (removed.get(name) ?? null) : null;
}

function isPolicy(member: unknown): boolean {
  const marks = new Set(['policies', 'defaultpolicy', 'anonymouspolicy']);
  if (typeof member !== 'object' || member === null) return false;
  return Object.keys(member).some((name) => marks.has(name.toLowerCase()));
}

function suggestion({ written, siblings, path }: UnknownKey): string | null {
  const names = [...siblings.values()].filter(({ meta }) => meta.internal !== true).map(({ name }) => name);
  const nearest = nearestName(written, names);
  if (nearest !== null) return `did you mean "${nearest}"?`;
  const place = path.length === 0 ? 'the configuration' : `"${formatPath(path)}"`;
  return `${place} has ${names.length > 12 ? `${names.slice(0, 12).join(', ')} and others` : names.join(', ')}`;
}
