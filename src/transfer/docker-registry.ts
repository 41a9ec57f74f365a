/**
 * The storage folder of a docker-registry (CNCF distribution, its filesystem driver), read as it lies there:
 *
 *   docker/registry/v2/
 *   ├── blobs/<algorithm>/<first two digits>/<hex>/data        every manifest, config and layer, once
 *   └── repositories/<name>/_manifests/
 *       ├── revisions/<algorithm>/<hex>/link                   manifests that the repository has
 *       └── tags/<tag>/current/link                            a tag: the digest, as text
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DIGEST_ALGORITHMS, digestAlgorithm, digestFromParts, digestHex, isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { isTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import type { FileReader } from '#storage';
import type { ContentSource } from './manifest-intake.ts';
import { TransferRefusal } from './refusal.ts';

const INSIDE = 'docker/registry/v2';
const LINK_BYTES_MAX = 1024;
/** As deep as the longest name can be. */
const DEPTH_MAX = 128;

export class DockerRegistryFolder implements ContentSource {
  #root: string;
  #driver: LocalDriver;

  private constructor(root: string) {
    this.#root = root;
    this.#driver = new LocalDriver(root);
  }

  /** Opens the folder that `rootdirectory` of its configuration names. Throws `TransferRefusal` when it is none. */
  static async open(folder: string): Promise<DockerRegistryFolder> {
    for (const root of [join(folder, INSIDE), folder])
      if (await isFolder(join(root, 'repositories'))) return new DockerRegistryFolder(root);
    throw new TransferRefusal(
      `${folder} is no storage folder of a docker-registry: it has no ${INSIDE}/repositories`,
    );
  }

  /** Every repository; a name that cannot be one here is given to `onProblem`. */
  repositories(onProblem: (name: string) => void): AsyncGenerator<RepoName, void, undefined> {
    return this.#walk('', 0, onProblem);
  }

  async *#walk(
    name: string,
    depth: number,
    onProblem: (name: string) => void,
  ): AsyncGenerator<RepoName, void, undefined> {
    for await (const child of this.#driver.list(join('repositories', name))) {
      if (child.kind !== 'folder') continue;
      if (child.name === '_manifests') {
        if (isRepoName(name)) yield name;
        else onProblem(name);
      } else if (!child.name.startsWith('_') && depth < DEPTH_MAX) {
        yield* this.#walk(join(name, child.name), depth + 1, onProblem);
      }
    }
  }

  /** The tags of a repository, each with its manifest; `null` where that cannot be told. */
  async *tags(repo: RepoName): AsyncGenerator<{ name: string; tag: Tag | null; digest: Digest | null }> {
    const folder = `repositories/${repo}/_manifests/tags`;
    for await (const { name } of this.#driver.list(folder)) {
      const link = await this.#driver.read(`${folder}/${name}/current/link`, LINK_BYTES_MAX);
      const text = link?.toString('utf8').trim() ?? '';
      yield { name, tag: isTag(name) ? name : null, digest: isDigest(text) ? text : null };
    }
  }

  /** The manifests of a repository, tagged or not; those that were deleted are left out. */
  async *revisions(repo: RepoName): AsyncGenerator<Digest> {
    for (const algorithm of DIGEST_ALGORITHMS) {
      for await (const { name } of this.#driver.list(
        `repositories/${repo}/_manifests/revisions/${algorithm}`,
      )) {
        const digest = digestFromParts(algorithm, name);
        if (digest !== null && (await this.hasRevision(repo, digest))) yield digest;
      }
    }
  }

  /** Whether a repository has a manifest, and it was not deleted. */
  async hasRevision(repo: RepoName, digest: Digest): Promise<boolean> {
    const place = `${digestAlgorithm(digest)}/${digestHex(digest)}`;
    return (await this.#driver.stat(`repositories/${repo}/_manifests/revisions/${place}/link`)) !== null;
  }

  readManifest(digest: Digest, sizeBytesMax: number): Promise<Buffer | null> {
    return this.#driver.read(pathOf(digest), sizeBytesMax);
  }

  openBlob(digest: Digest): Promise<FileReader | null> {
    return this.#driver.openReader(pathOf(digest));
  }

  fileOf(digest: Digest): string {
    return join(this.#root, pathOf(digest));
  }
}

function pathOf(digest: Digest): string {
  const hex = digestHex(digest);
  return `blobs/${digestAlgorithm(digest)}/${hex.slice(0, 2)}/${hex}/data`;
}

async function isFolder(path: string): Promise<boolean> {
  // What cannot be looked at is not there for us.
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}
