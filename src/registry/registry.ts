import type { IndexReader } from '#metadata';
import { digestAlgorithm, digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import { referenceText } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Storage } from '#storage';
import { Freshness } from './freshness.ts';
import type { Hooks } from './hooks.ts';
import type {
  Keeper,
  PushRights,
  RepositoryOutcome,
  TagEventPage,
  TagEventRange,
} from './keeper/keeper-contract.ts';
import type { QuotaStatus } from './keeper/quotas/quota-ledger.ts';
import { Listing } from './listing.ts';
import { Pull } from './pull.ts';
import type { BlobContent, ManifestContent, OpenBlob } from './pull.ts';
import { SpaceGuard } from './space-guard.ts';
import type { SpaceLimit } from './space-guard.ts';
import { UploadOwners } from './upload-owners.ts';
import { Uploads } from './uploads.ts';

export { RegistryError } from '#oci/errors';
export type { ErrorCode, RegistryErrorOptions } from '#oci/errors';
export { StorageError } from '#storage';
export type { FileReader } from '#storage';
export { fromDatabase } from './database-errors.ts';
export { noHooks } from './hooks.ts';
export type { Hooks, PushedManifest } from './hooks.ts';
export type {
  Keeper,
  ManifestPush,
  PushRights,
  RepositoryOutcome,
  RevokeReason,
  Rights,
  TagEventPage,
  TagEventRange,
  UploadProgress,
  UploadRef,
} from './keeper/keeper-contract.ts';
export type { BlobRelink, RelinkResult } from './keeper/blobs/blob-sharing.ts';
export { LocalKeeper } from './keeper/keeper.ts';
export { USER_METHODS, forwardingUserDesk } from './keeper/user-desk.ts';
export type { UserDesk } from './keeper/user-desk.ts';
export type { GarbageRules, TagToRetire } from './keeper/plans/operation.ts';
export type { RepositoryWatch } from './keeper/removal/repository-watch.ts';
export type { Verdict } from './keeper/damage/damage-desk.ts';
export { versionOf } from './keeper/damage/examination.ts';
export { garbageReason, isBlobInUse, isDead, unknownContent } from './keeper/plans/plan-collect.ts';
export type { GarbagePlace, GarbageReason } from './keeper/plans/plan-collect.ts';
export type { TagDesk } from './keeper/tags/tag-desk.ts';
export { NO_TAG_RULES } from './keeper/tags/tag-rules.ts';
export type { Holdings, Immutability, TagRules } from './keeper/tags/tag-rules.ts';
export { walkStorage } from './keeper/index-file/first-walk.ts';
export type { Quota, QuotaStatus } from './keeper/quotas/quota-ledger.ts';
export type { ReferrersPage, TagsPage } from './listing.ts';
export type { BlobContent, ManifestContent, OpenBlob } from './pull.ts';
export { requiredFreeBytes, spaceLimitOf } from './space-guard.ts';
export type { SpaceLimit } from './space-guard.ts';
export type { BodySource, UploadBody } from './uploads.ts';

export interface RegistryParts {
  readonly storage: Storage;
  readonly index: IndexReader;
  readonly keeper: Keeper;
  readonly hooks: Hooks;
  readonly spaceLimit: SpaceLimit;
  readonly readOnly: boolean;
  /** Whether a repository counts toward a quota, so that its uploads ask for room first; absent: none does. */
  readonly isUnderQuota?: (repo: RepoName) => boolean;
  /** A secret of 32 bytes that all serving processes share: proves who began an upload. */
  readonly uploadKey: Buffer;
  /** Hears of faults of hooks that may not fail a request. */
  readonly report: (problem: string, error: unknown) => void;
}

export interface ManifestToPush {
  readonly repo: RepoName;
  readonly reference: Reference;
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** Further tags of a push by digest (distribution-spec, "Pushing Manifests", parameter `tag`). */
  readonly tags: readonly Tag[];
  /** What the caller may do to these references; absent: everything. */
  readonly rights?: PushRights;
  /** The name of who pushes, for the history; absent: nobody with a name. */
  readonly by?: string;
}

/** The registry's operations: one method for each thing a user can do. */
export class Registry {
  readonly uploads: Uploads;
  readonly listing: Listing;
  #parts: RegistryParts;
  #pull: Pull;
  #guard: SpaceGuard;

  constructor(parts: RegistryParts) {
    const { storage, index, keeper, hooks } = parts;
    const freshness = new Freshness(storage, index, keeper, parts.report);
    this.#parts = parts;
    this.#guard = new SpaceGuard(storage, parts.spaceLimit, parts.readOnly);
    this.#pull = new Pull({ storage, index, keeper, freshness, hooks, report: parts.report });
    this.uploads = new Uploads({
      storage,
      keeper,
      guard: this.#guard,
      isUnderQuota: parts.isUnderQuota ?? (() => false),
      owners: new UploadOwners(parts.uploadKey),
      report: parts.report,
    });
    this.listing = new Listing({ index, freshness });
  }

  pullManifest(repo: RepoName, reference: Reference): Promise<ManifestContent> {
    return this.#pull.manifest(repo, reference);
  }

  /** As `pullManifest`, without the bytes and without counting. */
  statManifest(repo: RepoName, reference: Reference): Promise<Omit<ManifestContent, 'bytes'>> {
    return this.#pull.statManifest(repo, reference);
  }

  statBlob(repo: RepoName, digest: Digest): Promise<BlobContent> {
    return this.#pull.statBlob(repo, digest);
  }

  openBlob(repo: RepoName, digest: Digest): Promise<OpenBlob> {
    return this.#pull.openBlob(repo, digest);
  }

  /**
   * Pushes a manifest (distribution-spec, "Pushing Manifests"): read and judged here, committed by the keeper.
   * Gives its digest, its subject if it has one, and the tags it has now.
   */
  async pushManifest(push: ManifestToPush): Promise<{ digest: Digest; subject: Digest | null }> {
    const { repo, reference, mediaType, bytes, rights, by } = push;
    await this.#guard.requireSpace(repo, bytes.length);
    const digest = manifestDigest(reference, bytes);
    const projection = projectManifest(bytes, mediaType);
    const tags = reference.kind === 'tag' ? [reference.tag] : [...new Set(push.tags)];
    const pushed = { repo, digest, mediaType, tags, bytes, projection };
    for (const hook of this.#parts.hooks.beforeManifestCommit) await hook(pushed);
    await this.#parts.keeper.pushManifest({
      ...pushed,
      ...(rights === undefined ? {} : { rights }),
      ...(by === undefined ? {} : { by }),
    });
    await this.#after(this.#parts.hooks.afterPush, pushed);
    return { digest, subject: projection.subject };
  }

  /**
   * Deletes a tag, or a manifest with all its tags; throws `DENIED` (409) where it has more than `tagsMax`, or an
   * immutable one.
   */
  async deleteManifest(
    repo: RepoName,
    reference: Reference,
    tagsMax = Number.POSITIVE_INFINITY,
    by = '',
  ): Promise<void> {
    this.#guard.requireWritable();
    await this.listing.requireRepository(repo);
    await this.#parts.keeper.deleteManifest(repo, reference, tagsMax, by);
    for (const hook of this.#parts.hooks.afterDelete) {
      await hook(repo, reference).catch((error: unknown) => this.#parts.report('after delete', error));
    }
  }

  /** Tells the keeper of a blob whose bytes could not be read to their end. */
  noteBrokenBlob(repo: RepoName, digest: Digest): Promise<void> {
    return this.#pull.noteBroken(repo, digest);
  }

  /** The history of a tag, the newest first; `null` where none is kept. */
  listTagEvents(repo: RepoName, tag: Tag, range: TagEventRange): Promise<TagEventPage | null> {
    return this.#parts.keeper.listTagEvents(repo, tag, range);
  }

  async deleteBlob(repo: RepoName, digest: Digest): Promise<void> {
    this.#guard.requireWritable();
    await this.#pull.requireFile(repo, digest);
    await this.#parts.keeper.deleteBlob(repo, digest);
  }

  /**
   * Mounts a blob from another repository (distribution-spec, "Mounting a blob from another repository"). Without
   * `from` any repository that holds it and that `mayRead` allows will do. Gives whether it stands here now.
   */
  async mountBlob(
    repo: RepoName,
    digest: Digest,
    from: RepoName | null,
    mayRead: (repo: RepoName) => boolean,
  ): Promise<boolean> {
    this.#guard.requireWritable();
    const { index, keeper } = this.#parts;
    const candidates =
      from === null ? [repo, ...(await index.listBlobHolders(digest, { after: '', limit: 50 }))] : [from];
    for (const candidate of candidates) {
      if (!mayRead(candidate)) continue;
      if (await keeper.mountBlob(repo, candidate, digest)) return true;
    }
    return false;
  }

  /** Removes a repository with all that is in it. Throws `NAME_UNKNOWN`. */
  async removeRepository(repo: RepoName, by = ''): Promise<RepositoryOutcome> {
    this.#guard.requireWritable();
    return this.#parts.keeper.removeRepository(repo, by);
  }

  /** Gives a repository another name: see `Keeper.renameRepository` for what is refused. */
  async renameRepository(repo: RepoName, target: RepoName): Promise<RepositoryOutcome> {
    this.#guard.requireWritable();
    return this.#parts.keeper.renameRepository(repo, target);
  }

  /** The quotas in force and how they stand. */
  quotas(): Promise<readonly QuotaStatus[]> {
    return this.#parts.keeper.quotaStatus();
  }

  /** Whether the registry can answer: storage, index and records, each asked. */
  async probe(): Promise<{ walked: boolean }> {
    const { index, storage, keeper } = this.#parts;
    const stores = storage.stores.map((store) => store.driver.freeSpace());
    const [kept] = await Promise.all([keeper.probe(), index.probe(), ...stores]);
    return kept;
  }

  async close(): Promise<void> {
    this.uploads.close();
    await this.#pull.close();
  }

  async #after<Event>(hooks: readonly ((event: Event) => Promise<void>)[], event: Event): Promise<void> {
    for (const hook of hooks)
      await hook(event).catch((error: unknown) => this.#parts.report('after push', error));
  }
}

/** The digest a push is addressed by: its own algorithm for a digest, sha256 for a tag. */
function manifestDigest(reference: Reference, bytes: Buffer): Digest {
  if (reference.kind === 'tag') return digestOf(bytes);
  const digest = digestOf(bytes, digestAlgorithm(reference.digest));
  if (digest === reference.digest) return digest;
  throw new RegistryError('DIGEST_INVALID', {
    message: 'the manifest does not have the digest it is pushed under',
    detail: { reference: referenceText(reference), actual: digest },
  });
}
