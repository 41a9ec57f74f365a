import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { isTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { parseIndexFile } from '#storage';
import type { IndexEntry } from '#storage';
import { TransferRefusal, printable } from './refusal.ts';

/** A manifest that index.json of a layout names, with its tags. */
export interface Root {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly tags: readonly Tag[];
}

/** Where containerd and Docker put the full name of an image. */
const IMAGE_NAME = 'io.containerd.image.name';
/** What Docker puts in front of names that have no registry. */
const DOCKER_HOST = 'docker.io/';
const DOCKER_OFFICIAL = `${DOCKER_HOST}library/`;

export const INDEX_BYTES_MAX = 64 * 1024 * 1024;
/** Objects and lists in it; parsing costs by their number far more than by their size. */
const INDEX_NODES_MAX = 1_000_000;

/** The entries of an index.json that somebody else made. Throws `TransferRefusal` when it cannot be used. */
export function readLayoutIndex(bytes: Buffer): readonly IndexEntry[] {
  if (bytes.length > INDEX_BYTES_MAX)
    throw new TransferRefusal(`index.json has more than ${INDEX_BYTES_MAX / 1024 / 1024} MiB`);
  let nodes = 0;
  for (const byte of bytes) if (byte === 0x7b || byte === 0x5b) nodes += 1;
  if (nodes > INDEX_NODES_MAX)
    throw new TransferRefusal(`index.json holds more than ${INDEX_NODES_MAX} objects and lists`);
  const index = parseIndexFile(bytes);
  if (typeof index === 'string') throw new TransferRefusal(`index.json cannot be used: ${printable(index)}`);
  const [first] = index.unreadable;
  if (first !== undefined)
    throw new TransferRefusal(`index.json has an entry that is no descriptor: ${printable(first)}`);
  return index.entries;
}

export interface NamedRoots {
  readonly roots: readonly Root[];
  /** Names that cannot be tags here, in words. */
  readonly problems: readonly string[];
}

/**
 * The manifests that a layout names, each once with all its tags. `wanted` empty: all of them. With `wanted` a single
 * manifest that has no name gets these; otherwise a tag that is not there is refused.
 */
export function rootsOf(entries: readonly IndexEntry[], wanted: readonly Tag[]): NamedRoots {
  const roots = new Map<Digest, { root: Omit<Root, 'tags'>; tags: Set<Tag> }>();
  const problems: string[] = [];
  for (const { descriptor, tag } of entries) {
    // Podman calls an image without a name by a digest.
    const name = tag === null || isDigest(tag) ? null : tag;
    const { digest, mediaType, sizeBytes } = descriptor;
    const known = roots.get(digest) ?? { root: { digest, mediaType, sizeBytes }, tags: new Set<Tag>() };
    roots.set(digest, known);
    const own = name === null ? null : tagOfName(name);
    if (own !== null) known.tags.add(own);
    else if (name !== null) problems.push(`"${printable(name)}" cannot be a tag: ${digest} has none by it`);
  }
  const all = [...roots.values()].map(({ root, tags }) => ({ ...root, tags: [...tags] }));
  return { roots: wanted.length === 0 ? all : selected(all, wanted), problems };
}

function selected(all: readonly Root[], wanted: readonly Tag[]): Root[] {
  const [only] = all;
  if (all.length === 1 && only?.tags.length === 0) return [{ ...only, tags: [...new Set(wanted)] }];
  const found = all.map((root) => ({ ...root, tags: root.tags.filter((tag) => wanted.includes(tag)) }));
  for (const tag of wanted)
    if (!found.some(({ tags }) => tags.includes(tag)))
      throw new TransferRefusal(`nothing in it has the tag ${printable(tag)}`);
  return found.filter(({ tags }) => tags.length > 0);
}

/** `1.0`, or the end of `docker.io/library/alpine:1.0`, as some programs write it. */
function tagOfName(name: string): Tag | null {
  const colon = name.lastIndexOf(':');
  const tag = name.slice(colon > name.lastIndexOf('/') ? colon + 1 : 0);
  return isTag(tag) ? tag : null;
}

/** The repository that a layout says it is of: `library/alpine` for `docker.io/library/alpine:1`; `null`: none. */
export function repositoryOf(entries: readonly IndexEntry[]): RepoName | null {
  const names = repositoriesNamed(entries);
  const [first, second] = names;
  if (second !== undefined)
    throw new TransferRefusal(`it holds images of ${names.size} repositories: say which is meant by --repo`);
  return first ?? null;
}

/** The entries for a repository; of a layout that holds images of several, only its own. */
export function entriesFor(entries: readonly IndexEntry[], repo: RepoName): readonly IndexEntry[] {
  const names = repositoriesNamed(entries);
  if (names.size < 2) return entries;
  const own = entries.filter((entry) => repositoryNamed(entry) === repo);
  if (own.length > 0) return own;
  const some = [...names].slice(0, 5).join(', ');
  throw new TransferRefusal(`it holds images of ${names.size} repositories, and none of ${repo}: ${some}`);
}

function repositoriesNamed(entries: readonly IndexEntry[]): Set<RepoName> {
  const names = entries.map(repositoryNamed).filter((name) => name !== null);
  return new Set(names);
}

/** `a/b` for `host/a/b:1`; `alpine` for `docker.io/library/alpine:1`, as Docker shows it. */
function repositoryNamed({ descriptor, tag }: IndexEntry): RepoName | null {
  const full = descriptor.annotations?.[IMAGE_NAME] ?? tag ?? '';
  if (isDigest(full)) return null;
  const short = full.startsWith(DOCKER_OFFICIAL) ? full.slice(DOCKER_OFFICIAL.length) : full;
  const name = /^(?:(?:[^/]*[.:][^/]*|localhost)\/)?([^:@]+)[:@]/.exec(short)?.[1];
  return name !== undefined && isRepoName(name) ? name : null;
}

/** The entry with the full name of its image, by which "docker load" and containerd call it. */
export function withImageName(entry: IndexEntry, repo: RepoName): string {
  if (entry.tag === null) return entry.json;
  const { annotations, ...others } = JSON.parse(entry.json) as { annotations?: Record<string, string> };
  const host = repo.includes('/') ? DOCKER_HOST : DOCKER_OFFICIAL;
  return JSON.stringify({
    ...others,
    annotations: { ...annotations, [IMAGE_NAME]: `${host}${repo}:${entry.tag}` },
  });
}
