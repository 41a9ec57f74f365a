import type { z } from 'zod';
import { editDistance, nearestName } from '#lib/edit-distance';
import { formatPath, shorten, type Path } from './problems.ts';
import { configSchema } from './schema/schema.ts';
import { shapeOf, type KeyShape } from './schema/walk.ts';

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
  return `unknown key "${shorten(key.written)}"${advice === null ? '' : `; ${advice}`}`;
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
  const homes = homesOf(written);
  // A key that is spelled right stands in the wrong place, unless a sibling is as good as the same word.
  if (
    homes.length > 0 &&
    (nearest === null || editDistance(written.toLowerCase(), nearest.toLowerCase()) > 1)
  ) {
    return `it is a key of ${homes.map((home) => `"${home}"`).join(' and ')}`;
  }
  if (nearest !== null) return `did you mean "${nearest}"?`;
  const place = path.length === 0 ? 'the configuration' : `"${formatPath(path)}"`;
  return `${place} has ${names.length > 12 ? `${names.slice(0, 12).join(', ')} and others` : names.join(', ')}`;
}

/** A name that stands in more places than this tells nothing. */
const homesMax = 3;

let places: ReadonlyMap<string, readonly (readonly [name: string, home: string])[]> | null = null;

/** The objects that have a key of this name, in any case. */
function homesOf(written: string): readonly string[] {
  places ??= Map.groupBy(listKeys(configSchema, ''), ([name]) => name);
  const found = (places.get(written.toLowerCase()) ?? []).map(([, home]) => home);
  return found.length <= homesMax ? found : [];
}

/** Every key in lower case with the path of its object, except those that only the loader fills. */
function listKeys(schema: z.core.$ZodType, path: string): [name: string, home: string][] {
  const shape = shapeOf(schema);
  if (shape.kind === 'list') return listKeys(shape.items, `${path}[]`);
  if (shape.kind === 'map') return listKeys(shape.values, `${path}.<name>`);
  if (shape.kind !== 'object') return [];
  return [...shape.keys.values()].flatMap(({ name, schema: member, meta }) => {
    const at = path === '' ? name : `${path}.${name}`;
    const own: [string, string][] = meta.internal === true || path === '' ? [] : [[name.toLowerCase(), path]];
    return [...own, ...listKeys(member, at)];
  });
}
