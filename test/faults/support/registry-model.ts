/**
 * What a registry is, in memory and without any care for speed or faults: the answers of the real one are compared
 * with it. It follows the distribution specification, and zot where that leaves a choice.
 */
import type { Content, Manifest } from './images.ts';

/** A manifest of the tests, with what it refers to. */
export interface ModelManifest extends Manifest {
  /** Configs and layers. */
  readonly blobs: readonly string[];
  /** Of an index: the manifests that it lists. */
  readonly children: readonly ModelManifest[];
  readonly subject: string | null;
}

export interface ModelAnswer {
  readonly status: number;
  /** The error code of a refusal. */
  readonly code?: string;
  /** What the answer says: a digest, or a list. */
  readonly says?: string;
}

interface Repository {
  /** Bytes that are there, by digest: blobs, and manifests, which are blobs as well. */
  readonly blobs: Set<string>;
  readonly manifests: Map<string, ModelManifest>;
  /** Manifests with an entry of their own in index.json. */
  readonly listed: Set<string>;
  readonly tags: Map<string, string>;
  /** Whether a manifest was ever pushed, so that there is such a repository. */
  begun: boolean;
}

const NAME_UNKNOWN: ModelAnswer = { status: 404, code: 'NAME_UNKNOWN' };
const MANIFEST_UNKNOWN: ModelAnswer = { status: 404, code: 'MANIFEST_UNKNOWN' };
const BLOB_UNKNOWN: ModelAnswer = { status: 404, code: 'BLOB_UNKNOWN' };
const IN_USE: ModelAnswer = { status: 405, code: 'DENIED' };
const ACCEPTED: ModelAnswer = { status: 202 };

export class RegistryModel {
  #repositories = new Map<string, Repository>();

  pushBlob(repo: string, blob: Content): ModelAnswer {
    this.#repo(repo).blobs.add(blob.digest);
    return { status: 201, says: blob.digest };
  }

  mount(repo: string, from: string, digest: string): ModelAnswer {
    if (!this.#repo(from).blobs.has(digest)) return ACCEPTED;
    this.#repo(repo).blobs.add(digest);
    return { status: 201, says: digest };
  }

  pushManifest(name: string, manifest: ModelManifest, tag: string | null): ModelAnswer {
    const repo = this.#repo(name);
    const needed = [...manifest.blobs, ...manifest.children.map(({ digest }) => digest)];
    if (needed.some((digest) => !repo.blobs.has(digest)))
      return { status: 400, code: 'MANIFEST_BLOB_UNKNOWN' };
    repo.begun = true;
    this.#add(repo, manifest);
    repo.listed.add(manifest.digest);
    if (tag !== null) repo.tags.set(tag, manifest.digest);
    return { status: 201, says: manifest.digest };
  }

  /** A child that came as a plain blob becomes a manifest as well. */
  #add(repo: Repository, manifest: ModelManifest): void {
    repo.blobs.add(manifest.digest);
    repo.manifests.set(manifest.digest, manifest);
    for (const child of manifest.children) if (!repo.manifests.has(child.digest)) this.#adopt(repo, child);
  }

  #adopt(repo: Repository, child: ModelManifest): void {
    repo.manifests.set(child.digest, child);
  }

  getManifest(name: string, reference: string): ModelAnswer {
    const repo = this.#repo(name);
    const digest = repo.tags.get(reference) ?? reference;
    if (repo.manifests.has(digest)) return { status: 200, says: digest };
    return repo.begun ? MANIFEST_UNKNOWN : NAME_UNKNOWN;
  }

  getBlob(name: string, digest: string): ModelAnswer {
    return this.#repo(name).blobs.has(digest) ? { status: 200, says: digest } : BLOB_UNKNOWN;
  }

  deleteTag(name: string, tag: string): ModelAnswer {
    const repo = this.#repo(name);
    if (!repo.begun) return NAME_UNKNOWN;
    return repo.tags.delete(tag) ? ACCEPTED : MANIFEST_UNKNOWN;
  }

  deleteManifest(name: string, digest: string): ModelAnswer {
    const repo = this.#repo(name);
    if (!repo.begun) return NAME_UNKNOWN;
    const manifest = repo.manifests.get(digest);
    if (manifest === undefined) return MANIFEST_UNKNOWN;
    if (parentsOf(repo, digest).length > 0) return IN_USE;
    this.#remove(repo, manifest);
    const isLayer = [...repo.manifests.values()].some(({ blobs }) => blobs.includes(digest));
    if (!isLayer) repo.blobs.delete(digest);
    return ACCEPTED;
  }

  /** A manifest goes with its tags, and with children that are known only through it. */
  #remove(repo: Repository, manifest: ModelManifest): void {
    const { digest, children } = manifest;
    repo.manifests.delete(digest);
    repo.listed.delete(digest);
    for (const [tag, named] of repo.tags) if (named === digest) repo.tags.delete(tag);
    for (const child of children) {
      const known = repo.manifests.get(child.digest);
      if (known === undefined || repo.listed.has(child.digest) || parentsOf(repo, child.digest).length > 0)
        continue;
      this.#remove(repo, known);
    }
  }

  deleteBlob(name: string, digest: string): ModelAnswer {
    const repo = this.#repo(name);
    if (!repo.blobs.has(digest)) return BLOB_UNKNOWN;
    const users = [...repo.manifests.values()].filter(({ blobs }) => blobs.includes(digest));
    if (users.length > 0 || repo.manifests.has(digest) || parentsOf(repo, digest).length > 0) return IN_USE;
    repo.blobs.delete(digest);
    return ACCEPTED;
  }

  listTags(name: string): ModelAnswer {
    const repo = this.#repo(name);
    return repo.begun ? { status: 200, says: [...repo.tags.keys()].toSorted().join() } : NAME_UNKNOWN;
  }

  referrers(name: string, subject: string): ModelAnswer {
    const found = [...this.#repo(name).manifests.values()].filter((manifest) => manifest.subject === subject);
    return {
      status: 200,
      says: found
        .map(({ digest }) => digest)
        .toSorted()
        .join(),
    };
  }

  /** Of these repositories, those that the catalog shows. */
  catalog(names: readonly string[]): ModelAnswer {
    const shown = names.filter((name) => this.#repo(name).listed.size > 0);
    return { status: 200, says: shown.toSorted().join() };
  }

  #repo(name: string): Repository {
    let repo = this.#repositories.get(name);
    if (repo === undefined) {
      repo = { blobs: new Set(), manifests: new Map(), listed: new Set(), tags: new Map(), begun: false };
      this.#repositories.set(name, repo);
    }
    return repo;
  }
}

function parentsOf(repo: Repository, digest: string): ModelManifest[] {
  return [...repo.manifests.values()].filter(({ children }) =>
    children.some((child) => child.digest === digest),
  );
}
