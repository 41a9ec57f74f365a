import { setTimeout as pause } from 'node:timers/promises';
import type { IndexReader } from '#metadata';
import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { storedTag } from '#oci/reference';
import type { Reference } from '#oci/reference';
import type { Registry } from '#registry';
import { StorageError, descriptorJson, parseIndexFile } from '#storage';
import type { IndexEntry, RepositoryStore, Storage } from '#storage';
import { TransferRefusal, printable } from './refusal.ts';

const READS_MAX = 20;
const READ_AGAIN_MS = 50;

/** What an export works with; nothing is changed. */
export interface ExportParts {
  readonly registry: Registry;
  readonly index: IndexReader;
  readonly storage: Storage;
}

/** What of one repository is exported. */
export interface Selection {
  readonly repo: RepoName;
  /** Empty: the whole repository. */
  readonly references: readonly Reference[];
}

/** `repo`, `repo:tag` and `repo@digest`, those of one repository joined. Throws `TransferRefusal`. */
export function parseSelections(words: readonly string[]): Selection[] {
  const selections = new Map<RepoName, { all: boolean; references: Reference[] }>();
  for (const word of words) {
    const [, name = '', tag, digest] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(word) ?? [];
    if (
      name === '' ||
      (tag !== undefined && digest !== undefined) ||
      (digest !== undefined && !isDigest(digest))
    )
      throw new TransferRefusal(
        `"${printable(word)}" is not <repository>, <repository>:<tag> or ...@<digest>`,
      );
    const repo = parseRepoName(name);
    const known = selections.get(repo) ?? { all: false, references: [] };
    selections.set(repo, known);
    if (digest !== undefined) known.references.push({ kind: 'digest', digest });
    else if (tag !== undefined) known.references.push({ kind: 'tag', tag: storedTag(tag) });
    else known.all = true;
  }
  return [...selections].map(([repo, { all, references }]) => ({ repo, references: all ? [] : references }));
}

/** The descriptors of index.json that a selection asks for. Throws `TransferRefusal` for what is not there. */
export async function selectEntries(
  parts: ExportParts,
  { repo, references }: Selection,
): Promise<readonly IndexEntry[]> {
  const { registry, storage } = parts;
  await registry.listing.requireRepository(repo);
  const entries = await readEntries(storage.repository(repo));
  if (references.length === 0) return entries;
  const chosen: IndexEntry[] = [];
  for (const reference of references) {
    const found =
      entries.find((entry) => isMeant(entry, reference)) ?? (await unlisted(parts, repo, reference));
    if (found !== null) chosen.push(found);
    else throw new TransferRefusal(`${repo} has no ${wordOf(reference)}`);
  }
  return chosen;
}

/** The entries of a repository of ours, as its index.json lists them. */
async function readEntries(store: RepositoryStore): Promise<readonly IndexEntry[]> {
  const read = await settledIndex(store);
  const index = read === null ? 'it is missing' : parseIndexFile(read.bytes);
  if (typeof index !== 'string') return index.entries;
  throw new TransferRefusal(`index.json of ${store.name} cannot be used: ${printable(index)}`);
}

/** A repository that is pushed to all the time is read between two pushes. */
async function settledIndex(store: RepositoryStore): ReturnType<RepositoryStore['readIndex']> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.readIndex();
    } catch (error) {
      if (!(error instanceof StorageError) || error.fault !== 'unavailable' || attempt === READS_MAX)
        throw error;
      await pause(READ_AGAIN_MS);
    }
  }
}

function isMeant({ descriptor, tag }: IndexEntry, reference: Reference): boolean {
  if (reference.kind === 'tag') return tag === reference.tag;
  // What is asked for by its digest is given without a name.
  return tag === null && descriptor.digest === reference.digest;
}

/** A manifest that only an index lists, or that has tags that were not asked for. */
async function unlisted(
  { index }: ExportParts,
  repo: RepoName,
  reference: Reference,
): Promise<IndexEntry | null> {
  if (reference.kind === 'tag') return null;
  const row = await index.findManifest(repo, reference);
  return row === null ? null : untaggedEntry(row);
}

/** The entry of a manifest that has no tag. */
export function untaggedEntry(row: {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}): IndexEntry {
  const { digest, mediaType, sizeBytes } = row;
  return { descriptor: { digest, mediaType, sizeBytes }, tag: null, json: descriptorJson(row, null) };
}

function wordOf(reference: Reference): string {
  return reference.kind === 'tag' ? `tag ${printable(reference.tag)}` : `manifest ${reference.digest}`;
}
