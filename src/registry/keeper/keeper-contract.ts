/**
 * What serving processes ask of the keeper, the one process that changes manifests, tags and metadata.
 * In one process it is called directly; between processes over a socket, so everything here is plain data.
 * Each promise settles only when what it promises is committed.
 */
import type { Digest } from '#oci/digest';
import type { ManifestProjection } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { UploadId } from '#oci/upload-id';
import type { PullCount, TagEvent } from '#metadata';
import type { QuotaStatus } from './quotas/quota-ledger.ts';
import type { UserDesk } from './user-desk.ts';

export interface ManifestPush {
  readonly repo: RepoName;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Empty when pushed by digest alone. */
  readonly tags: readonly Tag[];
  readonly projection: ManifestProjection;
  /** What the caller may do; absent: everything. Judged against the tags as they are when the push is committed. */
  readonly rights?: PushRights;
  /** The name of who pushes, for the history; absent: nobody with a name. */
  readonly by?: string;
}

/** Making what does not exist and changing what does are two rights. */
export interface Rights {
  readonly create: boolean;
  readonly update: boolean;
}

/** The rights of a push, by what it names; a tag that is not listed may be neither made nor moved. */
export interface PushRights {
  /** For a push by digest; `null` for one by tag. */
  readonly digest: Rights | null;
  readonly tags: Readonly<Record<string, Rights>>;
}

/** The digest of the first `sizeBytes` bytes of an upload, as one of the processes hashed them. */
export interface UploadProgress {
  readonly sizeBytes: number;
  readonly digest: Digest;
}

/** Why a claim ends early: another request wants the upload, or the keeper that gave the claim is gone. */
export type RevokeReason = 'wanted' | 'keeper gone';

export interface UploadRef {
  readonly repo: RepoName;
  readonly id: UploadId;
}

/** Which events are listed: between two times, both excluded, milliseconds since the epoch. */
export interface TagEventRange {
  readonly beforeMs: number;
  readonly sinceMs: number;
  /** Only those about this manifest; `null`: all. */
  readonly digest: Digest | null;
  readonly limit: number;
}

export interface TagEventPage {
  readonly events: readonly TagEvent[];
  /** Whether older ones follow. */
  readonly more: boolean;
}

/** What was done to a whole repository. */
export interface RepositoryOutcome {
  /** Blobs that were removed, or that stand under the new name. */
  readonly blobs: number;
  /** Uploads under way that were ended. */
  readonly uploads: number;
}

export interface Keeper {
  readonly users: UserDesk;
  /**
   * Makes the caller the only one who may write to an upload until it releases it. A holder whose connection
   * hangs is asked to let go (`onRevoke`), since a client that comes back has given up its old connection.
   * Gives what is known of the bytes so far. Throws `BLOB_UPLOAD_INVALID` (409) when the holder does not let go.
   */
  claimUpload(upload: UploadRef, onRevoke: (why: RevokeReason) => void): Promise<UploadProgress | null>;
  /** Ends a claim and notes the digest so far, `null` when it is not known. */
  releaseUpload(upload: UploadRef, progress: UploadProgress | null): Promise<void>;
  /**
   * Promises an upload room under the quotas of its repository before its bytes are read: `neededBytes` in all, and
   * up to `wantedBytes` where plenty is left; gives how far it may grow. Asked for nothing it proves that something is
   * left. The promise shrinks to what is in the file when the claim ends. Throws `DENIED` with the numbers.
   */
  reserveUpload(upload: UploadRef, neededBytes: number, wantedBytes: number): Promise<number>;
  /** The quotas in force and how they stand. */
  quotaStatus(): Promise<readonly QuotaStatus[]>;
  /** Gives a claimed upload, durable and proven, its name as a blob, and ends the claim. */
  finishUpload(
    upload: UploadRef,
    blob: { readonly digest: Digest; readonly sizeBytes: number },
  ): Promise<void>;
  /** Notes repositories where uploads were begun, so that those that are given up are found. */
  noteUploads(repos: readonly RepoName[]): Promise<void>;
  /** Removes an upload; gives whether there was one. */
  cancelUpload(upload: UploadRef): Promise<boolean>;
  /** Makes a blob of `from` stand in `repo` too; gives whether `from` had it. */
  mountBlob(repo: RepoName, from: RepoName, digest: Digest): Promise<boolean>;
  /** Throws `BLOB_UNKNOWN`, or `DENIED` (405) while a manifest uses it. */
  deleteBlob(repo: RepoName, digest: Digest): Promise<void>;
  /**
   * Commits a manifest and its tags. Throws `MANIFEST_BLOB_UNKNOWN` naming what is missing, and `DENIED` with the
   * details `action` and `reference` when the rights do not reach.
   */
  pushManifest(push: ManifestPush): Promise<void>;
  /**
   * Removes a tag, or a manifest with all its tags; throws `DENIED` (409) where those are more than `tagsMax`, or one
   * of them is immutable. `by` is the name of who asks.
   */
  deleteManifest(repo: RepoName, reference: Reference, tagsMax: number, by?: string): Promise<void>;
  /** The history of a tag, the newest first; `null` where none is kept. */
  listTagEvents(repo: RepoName, tag: Tag, range: TagEventRange): Promise<TagEventPage | null>;
  /**
   * Removes a repository with all that is in it; what can be undone is held as long as that. `by` is the name of who
   * asks. Throws `NAME_UNKNOWN`, and `DENIED` (409) where a tag is immutable.
   */
  removeRepository(repo: RepoName, by?: string): Promise<RepositoryOutcome>;
  /**
   * Gives a repository another name. Throws `NAME_UNKNOWN`, and `DENIED` where the target exists or a tag is immutable
   * (409), where it lies in another store (400), or where a quota has no room for it (403).
   */
  renameRepository(repo: RepoName, target: RepoName): Promise<RepositoryOutcome>;
  /** Compares the index with the layout and reads the layout again where they differ. */
  refresh(repo: RepoName): Promise<void>;
  /**
   * Looks at a content that a request found wanting, or that was changed since it was found damaged. Gives whether it
   * is sound; `null` when it is too large to wait for.
   */
  lookAt(repo: RepoName, digest: Digest): Promise<boolean | null>;
  addPulls(counts: readonly PullCount[]): Promise<void>;
  /** Proves that index and records answer, and says whether the first look at the storage is complete. */
  probe(): Promise<{ readonly walked: boolean }>;
}
