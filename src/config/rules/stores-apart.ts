import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { listStores, type Rule, type StorePlace } from './rule-context.ts';
import type { StoreDraft } from '../schema/schema.ts';

/**
 * Two stores must not write to the same place: what one sweeps away may belong to the other. Compared is what
 * is really written: the folder behind symbolic links, and the bucket and prefix of an object store.
 */
export const checkStoresApart: Rule = ({ config, report }) => {
  const stores = listStores(config).map(locate);
  for (const [index, later] of stores.entries()) {
    for (const earlier of stores.slice(0, index)) {
      const conflict = findConflict(earlier, later);
      if (conflict === null) continue;
      const [place, message] = conflict;
      report.error([...later.path, ...place.split('.')], `invalid storage config, ${message}`);
    }
  }
};

/** A store and where it writes: each place a list of steps from the outermost, null where it has none. */
interface Located extends StorePlace {
  readonly type: string;
  readonly folder: readonly string[] | null;
  readonly objects: readonly string[] | null;
}

function locate(place: StorePlace): Located {
  const { store } = place;
  const type = store.storageDriver?.name ?? 'local';
  return { ...place, type, folder: folderOf(store), objects: objectsOf(store) };
}

function findConflict(a: Located, b: Located): [place: string, message: string] | null {
  if (a.type !== b.type) return null;
  const folders = nesting(a.folder, b.folder);
  if (folders !== null) return ['rootDirectory', `${wording(a, b, folders)} root directory`];
  const prefixes = nesting(a.objects, b.objects);
  if (prefixes !== 'equal') return null;
  return ['storageDriver.rootdirectory', `${wording(a, b, prefixes)} bucket and prefix`];
}

type Nesting = 'equal' | 'first inside second' | 'second inside first';

function wording(a: StorePlace, b: StorePlace, nested: Nesting): string {
  if (nested === 'equal') return `${a.label} and ${b.label} cannot use the same`;
  const [inner, outer] = nested === 'first inside second' ? [a, b] : [b, a];
  return `${inner.label} root directory cannot be inside ${outer.label}`;
}

/** How two places lie to each other; null when apart or unknown. */
function nesting(a: readonly string[] | null, b: readonly string[] | null): Nesting | null {
  if (a === null || b === null) return null;
  const [shorter, longer] = a.length <= b.length ? [a, b] : [b, a];
  if (!shorter.every((step, index) => step === longer[index])) return null;
  if (a.length === b.length) return 'equal';
  return a.length > b.length ? 'first inside second' : 'second inside first';
}

function folderOf({ rootDirectory }: StoreDraft): string[] | null {
  if (rootDirectory === '') return null;
  const real = realFolder(resolve(rootDirectory));
  // These systems take paths that differ in case for the same.
  const isCaseBlind = process.platform === 'darwin' || process.platform === 'win32';
  return (isCaseBlind ? real.toLowerCase() : real).split(sep).filter((step) => step !== '');
}

/** The path with symbolic links resolved as far as it exists. */
function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Not there yet, or not readable: what is above it may be a link all the same.
    const parent = dirname(path);
    return parent === path ? path : join(realFolder(parent), basename(path));
  }
}

function objectsOf({ storageDriver: driver }: StoreDraft): string[] | null {
  if (driver === undefined) return null;
  const [endpoint, bucket] =
    driver.name === 's3'
      ? [driver.regionendpoint || driver.region, driver.bucket]
      : driver.name === 'gcs'
        ? ['', driver.bucket]
        : [driver.serviceurl ?? driver.accountname, driver.container];
  return [endpoint, bucket, ...driver.rootdirectory.split('/').filter((step) => step !== '')];
}
