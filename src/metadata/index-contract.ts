/**
 * The index: a disposable mirror of the OCI layouts, from which every request is answered.
 * `index-contract.suite.ts` is the suite that every implementation must pass.
 *
 * Invariants: (1) it never holds what the layout does not; losing it loses nothing. (2) One writer, the keeper;
 * any number of readers, which see a change as a whole or not at all. (3) Every look-up costs the same whatever
 * the size of what it does not ask for.
 */
import type { Digest } from '#oci/digest';
import type { ManifestProjection, ReferenceRole } from '#oci/manifest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { DamageList, DamageReader } from './damage-contract.ts';
import type { CandidateRow, Garbage } from './garbage-contract.ts';
import type { QuotaCounts } from './quota-contract.ts';

export interface RepositoryState {
  /** The version of index.json that the rows were read from or written as. */
  readonly fingerprint: string;
  /** Until this time (milliseconds since the epoch) the fingerprint proves nothing: it was too young when read. */
  readonly doubtfulUntilMs: number;
  /** Members of index.json besides `manifests`, as JSON text without the closing brace. */
  readonly head: string;
  /** Descriptors of index.json that cannot be read, kept as text. */
  readonly unreadable: readonly string[];
  /** Why the file that is there now cannot be used; the rows are those of the last good one. */
  readonly problem: string | null;
}

export interface ManifestRow {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Set where its bytes are known to be damaged. */
  readonly isDamaged?: true;
}

/** A descriptor of index.json in its order. */
export interface EntryRow {
  readonly position: number;
  readonly digest: Digest;
  readonly tag: Tag | null;
  readonly json: string;
}

export interface ReferrerRow extends ManifestRow {
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>> | null;
}

export interface BlobRow {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A place of a blob; with '' for the repository: before all places of the digest, with '' for both: before all. */
export interface HolderRow {
  readonly digest: Digest | '';
  readonly repo: RepoName | '';
}

export interface ReferenceRow {
  readonly digest: Digest;
  readonly role: ReferenceRole;
  readonly mediaType: string;
}

export interface NewManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** `null` for content of a type we cannot read, or that is damaged: served, but nothing follows from it. */
  readonly projection: ManifestProjection | null;
}

export interface PageOptions {
  /** Only what sorts after this (bytewise); '' for the beginning. */
  readonly after: string;
  readonly limit: number;
}

export interface ReferrersPageOptions extends PageOptions {
  /** Only these; empty: all. */
  readonly artifactTypes: readonly string[];
  /**
   * The page ends early with the row whose annotations and type make more than this together: anybody who may push
   * can make each of them as large as a manifest. Absent: no bound.
   */
  readonly bytesMax?: number;
}

export interface IndexReader extends DamageReader {
  /** Whether a blob is about to be removed, and so counts as absent. */
  isTombstoned(repo: RepoName, digest: Digest): Promise<boolean>;
  /** Why a blob whose file is there counts as absent all the same; `null`: it does not. */
  whyAbsent(repo: RepoName, digest: Digest): Promise<'tombstoned' | 'damaged' | null>;
  findRepository(repo: RepoName): Promise<RepositoryState | null>;
  findManifest(repo: RepoName, reference: Reference): Promise<ManifestRow | null>;
  findBlob(repo: RepoName, digest: Digest): Promise<BlobRow | null>;
  /** The media type that some manifest of the repository gives a blob. */
  findBlobMediaType(repo: RepoName, digest: Digest): Promise<string | null>;
  /** Repositories that hold a blob, in byte order. */
  listBlobHolders(digest: Digest, page: PageOptions): Promise<RepoName[]>;
  /** Tags in byte order; a tag that two descriptors claim is listed once. */
  listTags(repo: RepoName, page: PageOptions): Promise<Tag[]>;
  /** Repositories with at least one descriptor, in byte order. */
  listRepositories(page: PageOptions): Promise<RepoName[]>;
  /** Manifests whose subject is `subject` and that are sound, in digest order. */
  listReferrers(repo: RepoName, subject: Digest, page: ReferrersPageOptions): Promise<ReferrerRow[]>;
  /** The digests alone of all manifests whose subject is `subject`, sound or not, in digest order. */
  listReferrerDigests(repo: RepoName, subject: Digest, page: PageOptions): Promise<Digest[]>;
  /** Proves that the index answers. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** What the keeper changes in one repository at once. */
export interface RepositoryChange {
  readonly repo: RepoName;
  readonly state: RepositoryState;
  readonly removedPositions: readonly number[];
  readonly addedEntries: readonly EntryRow[];
  readonly removedManifests: readonly Digest[];
  readonly addedManifests: readonly NewManifest[];
  /** What may be garbage by this change. */
  readonly candidates: readonly CandidateRow[];
  /** Blobs about to be removed that this change needs after all. */
  readonly revived: readonly Digest[];
}

/** Everything of one repository, as read from its layout. */
export interface RepositorySnapshot {
  readonly repo: RepoName;
  readonly state: RepositoryState;
  readonly entries: readonly EntryRow[];
  readonly manifests: readonly NewManifest[];
  /** Manifests whose rows are taken over from those that are replaced. */
  readonly kept: readonly Digest[];
  readonly blobs: readonly BlobRow[];
}

export interface IndexWriter extends IndexReader, Garbage, DamageList, QuotaCounts {
  /** Commits changes of any number of repositories together. */
  applyChanges(changes: readonly RepositoryChange[]): Promise<void>;
  /**
   * Runs `work`, whose changes are committed many at a time: for an index that is new and that nobody reads yet.
   * Throws when changes were lost that seemed done; `work` has to be done again then.
   */
  inBulk<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Replaces all rows of a repository; readers see the old rows until the new ones are complete. */
  replaceRepository(snapshot: RepositorySnapshot): Promise<void>;
  /** Changes a repository's state alone. */
  setState(repo: RepoName, state: RepositoryState): Promise<void>;
  removeRepository(repo: RepoName): Promise<void>;
  /**
   * Gives a repository another name, with the state of its file there; one that had that name ends. Readers see it
   * under the one name or the other. Its blobs are not touched: they hang on names. What it needs of those of its new
   * name is not about to be removed any more. Gives whether there was such a repository.
   */
  renameRepository(repo: RepoName, name: RepoName, state: RepositoryState): Promise<boolean>;
  addBlobs(repo: RepoName, blobs: readonly BlobRow[]): Promise<void>;
  removeBlobs(repo: RepoName, digests: readonly Digest[]): Promise<void>;

  /** Descriptors of a tag or digest, in the order of index.json. */
  findEntries(repo: RepoName, reference: Reference): Promise<EntryRow[]>;
  listEntries(
    repo: RepoName,
    page: { readonly afterPosition: number; readonly limit: number },
  ): Promise<EntryRow[]>;
  /** What a manifest refers to. */
  listReferences(repo: RepoName, digest: Digest): Promise<ReferenceRow[]>;
  /** Manifests that refer to a digest in one of the roles, at most `limit`. */
  listReferencing(
    repo: RepoName,
    digest: Digest,
    options: { readonly roles: readonly ReferenceRole[]; readonly limit: number },
  ): Promise<Digest[]>;
  /** The subject of a manifest. */
  findSubject(repo: RepoName, digest: Digest): Promise<Digest | null>;
  /** A manifest whose content could not be read, so that nobody knows what it refers to. */
  findUnread(repo: RepoName): Promise<Digest | null>;
  /** A blob that has just got its name: present, not buried, and a candidate until a manifest refers to it. */
  recordBlob(repo: RepoName, blob: BlobRow, nowMs: number): Promise<void>;
  /** Which repository holds which blob, in the order of digest and repository, behind `after`. */
  listHolders(options: { readonly after: HolderRow; readonly limit: number }): Promise<HolderRow[]>;
  /** Whether at least so many repositories have a descriptor. */
  hasRepositories(count: number): Promise<boolean>;
  /** What a repository holds or needs, in byte order: its manifests, what they refer to, and its blobs. */
  listContents(repo: RepoName, page: PageOptions): Promise<Digest[]>;
  /** Every known repository, those without descriptors included. */
  listKnownRepositories(page: PageOptions): Promise<RepoName[]>;
}
