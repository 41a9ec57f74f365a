/**
 * What zot keeps in its metadata database (`meta.db`) and nowhere else: API keys, groups and favourites of users, pull
 * counts, times, and who pushed.
 * What the images say themselves is left out.
 */
import type { ApiKeyRecord } from '#metadata';
import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { isJsonObject } from '#oci/descriptor';
import type { JsonObject } from '#oci/descriptor';
import { isTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { BoltFile } from './bolt-file.ts';
import { bytesOf, listOf, numberOf, readFields } from './protobuf.ts';
import type { Fields } from './protobuf.ts';
import { TransferRefusal } from './refusal.ts';

/** As it is kept here; zot does not say who vouched for its owner. */
export type ZotApiKey = Omit<ApiKeyRecord, 'owner' | 'origin'>;

export interface ZotUser {
  readonly name: string;
  readonly groups: readonly string[];
  readonly keys: readonly ZotApiKey[];
  /** Names of repositories, as they are written there. */
  readonly starred: readonly string[];
  readonly bookmarked: readonly string[];
}

export interface ZotRepository {
  readonly repo: RepoName;
  readonly manifests: readonly {
    readonly digest: Digest;
    readonly pulls: number;
    readonly lastPullMs: number | null;
    readonly firstPushMs: number | null;
    readonly pushedBy: string | null;
  }[];
  readonly tags: readonly { readonly tag: Tag; readonly sinceMs: number }[];
}

/** An entry that could not be read, which does not keep the others. */
export type OnProblem = (what: string, why: string) => void;

const VERSION = 'V1';

export class ZotDatabase {
  #file: BoltFile;

  /** Throws `TransferRefusal` unless this is a database of zot that this program can read. */
  constructor(path: string) {
    this.#file = new BoltFile(path);
    const versions = [...this.#file.entries('Version')];
    const version = versions.find(({ key }) => key.toString('utf8') === 'DBVersion')?.value?.toString('utf8');
    if (version === VERSION) return;
    this.#file.close();
    const found = version === undefined ? 'it says no version' : `it has version ${version}`;
    throw new TransferRefusal(`this is no metadata database of zot that can be read here: ${found}`);
  }

  *users(onProblem: OnProblem): Generator<ZotUser, void, undefined> {
    yield* this.#each('UserData', userOf, onProblem);
  }

  *repositories(onProblem: OnProblem): Generator<ZotRepository, void, undefined> {
    yield* this.#each('RepoMeta', repositoryOf, onProblem);
  }

  close(): void {
    this.#file.close();
  }

  *#each<Item>(
    bucket: string,
    read: (name: string, value: Buffer) => Item,
    onProblem: OnProblem,
  ): Generator<Item, void, undefined> {
    for (const { key, value } of this.#file.entries(bucket)) {
      const name = key.toString('utf8');
      if (value === null || name === '') continue;
      let item: Item;
      try {
        item = read(name, value);
      } catch (error) {
        if (!(error instanceof TransferRefusal)) throw error;
        onProblem(`${bucket} ${name}`, error.message);
        continue;
      }
      yield item;
    }
  }
}

function userOf(name: string, value: Buffer): ZotUser {
  const body = parsed(value);
  const { Groups: groups, StarredRepos: starred, BookmarkedRepos: bookmarked } = body;
  const keys = isJsonObject(body.APIKeys) ? Object.entries(body.APIKeys) : [];
  return {
    name,
    groups: textsOf(groups),
    starred: textsOf(starred),
    bookmarked: textsOf(bookmarked),
    keys: keys.map(([hash, details]) => keyOf(hash, details)),
  };
}

function parsed(value: Buffer): JsonObject {
  try {
    const body: unknown = JSON.parse(value.toString('utf8'));
    if (isJsonObject(body)) return body;
  } catch {
    // Told below, as what is JSON and no object.
  }
  throw new TransferRefusal('it is not the JSON of a user');
}

function keyOf(hash: string, details: unknown): ZotApiKey {
  if (!/^[0-9a-f]{64}$/.test(hash) || !isJsonObject(details))
    throw new TransferRefusal('it holds an API key that cannot be read');
  const { uuid, label, scopes, createdAt, expirationDate, lastUsed, creatorUa, generatedBy } = details;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return {
    hash,
    uuid: text(uuid),
    label: text(label),
    scopes: textsOf(scopes),
    createdMs: timeOf(createdAt) ?? 0,
    expiresMs: timeOf(expirationDate),
    lastUsedMs: timeOf(lastUsed),
    creatorUserAgent: text(creatorUa),
    generatedBy: text(generatedBy),
  };
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** Milliseconds since the epoch; `null` for what is absent or Go's zero time, the year 1. */
function timeOf(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(ms) || ms <= 0 ? null : ms;
}

/** Fields of zot's messages, by number. */
const REPO = { name: 1, tags: 2, statistics: 3 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const TAG = { since: 3 } as const;
const STATISTICS = { downloads: 1, lastPull: 2, push: 3, pushedBy: 4 } as const;
const TIMESTAMP = { seconds: 1, nanos: 2 } as const;

function repositoryOf(name: string, value: Buffer): ZotRepository {
  if (!isRepoName(name)) throw new TransferRefusal('this is no repository name');
  const fields = readFields(value);
  const tags: { tag: Tag; sinceMs: number }[] = [];
  for (const { key, body } of entriesOf(fields, REPO.tags)) {
    const sinceMs = timestampOf(bytesOf(body, TAG.since));
    if (isTag(key) && sinceMs !== null) tags.push({ tag: key, sinceMs });
  }
  const manifests: ZotRepository['manifests'][number][] = [];
  for (const { key, body } of entriesOf(fields, REPO.statistics)) {
    if (!isDigest(key)) continue;
    const pulls = Number(BigInt.asIntN(32, numberOf(body, STATISTICS.downloads) ?? 0n));
    const lastPullMs = timestampOf(bytesOf(body, STATISTICS.lastPull));
    const firstPushMs = timestampOf(bytesOf(body, STATISTICS.push));
    // Somebody without a name, and nobody whom zot knows of, look the same there.
    const pushedBy = bytesOf(body, STATISTICS.pushedBy)?.toString('utf8') || null;
    manifests.push({ digest: key, pulls: Math.max(0, pulls), lastPullMs, firstPushMs, pushedBy });
  }
  return { repo: name, tags, manifests };
}

/** The entries of a map, but for the one that zot writes under no name. */
function entriesOf(fields: Fields, field: number): { key: string; body: Fields }[] {
  return listOf(fields, field).flatMap((entry) => {
    const parts = readFields(entry);
    const key = bytesOf(parts, ENTRY.key)?.toString('utf8') ?? '';
    const body = readFields(bytesOf(parts, ENTRY.value) ?? Buffer.alloc(0));
    return key === '' ? [] : [{ key, body }];
  });
}

/** Milliseconds since the epoch; `null` where there is no time, or one before it. */
function timestampOf(message: Buffer | null): number | null {
  if (message === null) return null;
  const fields = readFields(message);
  const seconds = BigInt.asIntN(64, numberOf(fields, TIMESTAMP.seconds) ?? 0n);
  const nanos = numberOf(fields, TIMESTAMP.nanos) ?? 0n;
  const ms = Number(seconds * 1000n + nanos / 1_000_000n);
  return ms > 0 && Number.isSafeInteger(ms) ? ms : null;
}
