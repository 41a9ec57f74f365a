import { digestOf, parseDigest } from '#oci/digest';
import { readReference } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import type { Registry } from '#registry';

/** What a registry shows of some repositories: for each repository its tags, its manifests, its blobs. */
export type View = Readonly<
  Record<string, { tags: Record<string, string>; manifests: string[]; blobs: string[] }>
>;

/** The digests that are asked for; a view can hold no others. */
export interface Known {
  readonly repos: readonly RepoName[];
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
}

/** Asks a registry for everything that is known; throws when bytes are not those of their digest. */
export async function viewOf(registry: Registry, known: Known): Promise<View> {
  const view: Record<string, View[string]> = {};
  for (const repo of known.repos) {
    const tags: Record<string, string> = {};
    for (const tag of await listTags(registry, repo))
      tags[tag] = (await pull(registry, repo, tag)) ?? 'absent';
    view[repo] = {
      tags,
      manifests: await present(known.manifests, (digest) => pull(registry, repo, digest)),
      blobs: await present(known.blobs, (digest) => readBlob(registry, repo, digest)),
    };
  }
  return view;
}

async function present(
  digests: readonly string[],
  look: (digest: string) => Promise<string | null>,
): Promise<string[]> {
  const found: string[] = [];
  for (const digest of digests) {
    const there = await look(digest);
    if (there !== null && there !== digest) throw new Error(`${there} is served as ${digest}`);
    if (there !== null) found.push(digest);
  }
  return found;
}

async function listTags(registry: Registry, repo: RepoName): Promise<readonly string[]> {
  return (await orNull(registry.listing.tags(repo, { last: '', limit: null })))?.tags ?? [];
}

async function pull(registry: Registry, repo: RepoName, reference: string): Promise<string | null> {
  const found = await orNull(registry.pullManifest(repo, readReference(reference)));
  return found === null ? null : digestOf(found.bytes);
}

async function readBlob(registry: Registry, repo: RepoName, digest: string): Promise<string | null> {
  const found = await orNull(registry.openBlob(repo, parseDigest(digest)));
  if (found === null) return null;
  try {
    const bytes = Buffer.alloc(found.sizeBytes);
    return (await found.reader.read(bytes, 0)) === bytes.length ? digestOf(bytes) : 'too few bytes';
  } finally {
    await found.reader.close();
  }
}

async function orNull<Result>(asked: Promise<Result>): Promise<Result | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return null;
    throw error;
  }
}
