import type { Digest } from '#oci/digest';
import type { ManifestProjection } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';

export interface PushedManifest {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly tags: readonly Tag[];
  readonly bytes: Buffer;
  readonly projection: ManifestProjection;
}

/** The moments of the registry's operations that others may join. Each list is called in order and awaited. */
export interface Hooks {
  /** May refuse a manifest by throwing a `RegistryError`, before anything is written. */
  readonly beforeManifestCommit: ((push: PushedManifest) => Promise<void>)[];
  /** May fetch a manifest that is not here; gives whether looking again is worth while. */
  readonly manifestMissing: ((repo: RepoName, reference: Reference) => Promise<boolean>)[];
  /** As `manifestMissing`, for a blob. */
  readonly blobMissing: ((repo: RepoName, digest: Digest) => Promise<boolean>)[];
  /** After the commit; a fault is reported and does not fail the request. */
  readonly afterPush: ((push: PushedManifest) => Promise<void>)[];
  readonly afterPull: ((repo: RepoName, digest: Digest) => Promise<void>)[];
  readonly afterDelete: ((repo: RepoName, reference: Reference) => Promise<void>)[];
}

export function noHooks(): Hooks {
  return {
    beforeManifestCommit: [],
    manifestMissing: [],
    blobMissing: [],
    afterPush: [],
    afterPull: [],
    afterDelete: [],
  };
}
