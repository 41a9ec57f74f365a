import type { DamageKind, IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileStat, ReadPacer, RepositoryStore } from '#storage';

/** What a look at a stored content came to. */
export type Examined =
  | { readonly state: 'sound'; readonly stat: FileStat }
  | {
      readonly state: 'damaged';
      readonly kind: DamageKind;
      readonly detail: string;
      /** `null` when there is no file, or none that can be looked at. */
      readonly stat: FileStat | null;
    };

export interface ContentLook {
  readonly store: RepositoryStore;
  readonly digest: Digest;
  /** What it is known to have; `null`: nobody knows. */
  readonly expectedSizeBytes: number | null;
  readonly onRead: ReadPacer;
}

/** Times a file may be changed by others while it is read. */
const ATTEMPTS_MAX = 3;
/** Faults of a file that say that its bytes are out of reach, not that the machine is busy or full. */
const UNREADABLE: readonly StorageError['fault'][] = ['unavailable', 'denied', 'invalid', 'exists'];

/** Names the version of a file that was found damaged: another one is to be looked at again. */
export function versionOf(stat: FileStat | null): string {
  if (stat === null) return '';
  return `${stat.sizeBytes}-${stat.modifiedMs}-${stat.identity ?? stat.fingerprint}`;
}

/**
 * Reads a stored content to its end and compares its digest, by the digest's own algorithm. `onRead` paces it; what
 * it throws comes through. Gives `null` when the file never rested while it was read.
 */
export async function examine(look: ContentLook): Promise<Examined | null> {
  const { store, digest } = look;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const before = await statOf(store, digest);
    if (before === null || before instanceof StorageError) return absence(before);
    const found = await read(look, before);
    const after = await statOf(store, digest);
    if (!(after instanceof StorageError) && versionOf(after) === versionOf(before)) return found;
  }
  return null;
}

/** A file as it is; `null` also where it cannot be looked at. */
export async function reachableStat(store: RepositoryStore, digest: Digest): Promise<FileStat | null> {
  const found = await statOf(store, digest);
  return found instanceof StorageError ? null : found;
}

async function statOf(store: RepositoryStore, digest: Digest): Promise<FileStat | StorageError | null> {
  try {
    return await store.statBlob(digest);
  } catch (error) {
    if (error instanceof StorageError && UNREADABLE.includes(error.fault)) return error;
    throw error;
  }
}

function absence(found: StorageError | null): Examined {
  if (found === null) return { state: 'damaged', kind: 'missing', detail: 'there is no file', stat: null };
  return { state: 'damaged', kind: 'unreadable', detail: found.message, stat: null };
}

async function read(look: ContentLook, stat: FileStat): Promise<Examined> {
  const { store, digest, expectedSizeBytes, onRead } = look;
  try {
    const hashed = await store.hashBlob(digest, onRead);
    if (hashed === null) return absence(null);
    if (hashed.digest === digest) return { state: 'sound', stat };
    const isOtherSize = expectedSizeBytes !== null && hashed.sizeBytes !== expectedSizeBytes;
    return isOtherSize
      ? damaged('wrong-size', `it has ${hashed.sizeBytes} bytes, not ${expectedSizeBytes}`, stat)
      : damaged('wrong-digest', `its bytes have the digest ${hashed.digest}`, stat);
  } catch (error) {
    if (!(error instanceof StorageError) || !UNREADABLE.includes(error.fault)) throw error;
    return damaged('unreadable', error.message, stat);
  }
}

function damaged(kind: DamageKind, detail: string, stat: FileStat): Examined {
  return { state: 'damaged', kind, detail, stat };
}

/** The size that a content must have, as the index knows it. */
export async function expectedSize(
  index: IndexWriter,
  repo: RepoName,
  digest: Digest,
): Promise<number | null> {
  const blob = await index.findBlob(repo, digest);
  const manifest = await index.findManifest(repo, { kind: 'digest', digest });
  return blob?.sizeBytes ?? manifest?.sizeBytes ?? null;
}
