import type { Digest } from '#oci/digest';
import { isJsonObject } from '#oci/descriptor';
import { isDeeperThan } from '#oci/json-depth';
import { OCI_INDEX, OCI_MANIFEST, isMediaType } from '#oci/media-types';
import type { RepoName } from '#oci/repo-name';
import { BlobIntake } from './blob-intake.ts';
import type { ImportParts } from './blob-intake.ts';
import { DockerRegistryFolder } from './docker-registry.ts';
import type { Root } from './layout-index.ts';
import { ManifestIntake } from './manifest-intake.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { isOfContent, takeRoots } from './take-roots.ts';

/** Manifests are four levels deep, and what people put into members of their own is not much deeper. */
const DEPTH_MAX = 100;

/**
 * Imports the storage folder of a docker-registry: every repository with its tags, its untagged manifests and what is
 * about them. What cannot be taken is skipped and named. `only`: this repository and no other.
 */
export async function importDockerRegistry(
  parts: ImportParts,
  folder: string,
  only: RepoName | null,
): Promise<void> {
  const source = await DockerRegistryFolder.open(folder);
  const proven = BlobIntake.memory();
  let found = false;
  for await (const repo of source.repositories((name) =>
    parts.tally.skip(name, 'this is no repository name'),
  )) {
    if (only !== null && repo !== only) continue;
    found = true;
    parts.tally.at = repo;
    const intake = new ManifestIntake(parts, new BlobIntake(parts, repo, proven), source);
    await takeRoots(intake, rootsIn(parts, source, repo), parts.tally);
  }
  if (!found && only !== null) throw new TransferRefusal(`${folder} has no repository ${only}`);
}

/** The manifests of a repository: those with a tag first, in the order of the folder, then all others. */
async function* rootsIn(
  parts: ImportParts,
  source: DockerRegistryFolder,
  repo: RepoName,
): AsyncGenerator<Root, void, undefined> {
  for await (const { name, tag, digest } of source.tags(repo)) {
    const what = `${repo}:${printable(name)}`;
    if (tag === null) parts.tally.skip(what, 'this is no tag');
    else if (digest === null) parts.tally.skip(what, 'it names no manifest: it was deleted, or is damaged');
    else if (!(await source.hasRevision(repo, digest))) parts.tally.skip(what, 'its manifest was deleted');
    else {
      const root = await rootOf(parts, source, { digest, what });
      if (root !== null) yield { ...root, tags: [tag] };
    }
  }
  for await (const digest of source.revisions(repo)) {
    const root = await rootOf(parts, source, { digest, what: `${repo}@${digest}` });
    if (root !== null) yield root;
  }
}

/** A manifest with the type that its bytes say it has; `null` when it cannot be taken, which is told. */
async function rootOf(
  { manifestSizeBytesMax, tally }: ImportParts,
  source: DockerRegistryFolder,
  { digest, what }: { readonly digest: Digest; readonly what: string },
): Promise<Root | null> {
  try {
    const bytes = await source.readManifest(digest, manifestSizeBytesMax);
    if (bytes === null) throw new TransferRefusal(`the manifest ${digest} is missing`);
    return { digest, mediaType: typeOf(bytes), sizeBytes: bytes.length, tags: [] };
  } catch (error) {
    if (!isOfContent(error)) throw error;
    tally.skip(what, printable(error.message));
    return null;
  }
}

/** The media type of a manifest, which a docker-registry does not keep beside it. */
function typeOf(bytes: Buffer): string {
  const body = parsed(bytes);
  if (!isJsonObject(body)) throw new TransferRefusal('the manifest is damaged: it is not JSON');
  const { mediaType, schemaVersion } = body;
  if (schemaVersion === 1)
    throw new TransferRefusal('it is of Docker schema 1, which no client pushes any more: build it anew');
  if (typeof mediaType === 'string' && isMediaType(mediaType)) return mediaType;
  return Array.isArray(body.manifests) ? OCI_INDEX : OCI_MANIFEST;
}

function parsed(bytes: Buffer): unknown {
  try {
    return isDeeperThan(bytes, DEPTH_MAX) ? null : JSON.parse(bytes.toString('utf8'));
  } catch {
    // Told by whoever looks at what it says.
    return null;
  }
}
