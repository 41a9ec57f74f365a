import type { Digest } from '#oci/digest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { DamageRow } from './damage-contract.ts';
import type {
  BlobRow,
  IndexReader,
  ManifestRow,
  PageOptions,
  ReferrerRow,
  RepositoryState,
} from './index-contract.ts';

/**
 * A reader that can be opened again: a keeper that was started anew may have built a new index under the old name,
 * and whoever holds the old file open would go on reading it.
 */
export class ReopeningIndex implements IndexReader {
  #open: () => IndexReader;
  #index: IndexReader;

  constructor(open: () => IndexReader) {
    this.#open = open;
    this.#index = open();
  }

  /** Opens the index under its name; the old one is closed. Reads are never under way between turns. */
  async reopen(): Promise<void> {
    const old = this.#index;
    this.#index = this.#open();
    await old.close();
  }

  isTombstoned(repo: RepoName, digest: Digest): Promise<boolean> {
    return this.#index.isTombstoned(repo, digest);
  }

  whyAbsent(repo: RepoName, digest: Digest): ReturnType<IndexReader['whyAbsent']> {
    return this.#index.whyAbsent(repo, digest);
  }

  findDamage(repo: RepoName, digest: Digest): Promise<DamageRow | null> {
    return this.#index.findDamage(repo, digest);
  }

  findRepository(repo: RepoName): Promise<RepositoryState | null> {
    return this.#index.findRepository(repo);
  }

  findManifest(repo: RepoName, reference: Reference): Promise<ManifestRow | null> {
    return this.#index.findManifest(repo, reference);
  }

  findBlob(repo: RepoName, digest: Digest): Promise<BlobRow | null> {
    return this.#index.findBlob(repo, digest);
  }

  findBlobMediaType(repo: RepoName, digest: Digest): Promise<string | null> {
    return this.#index.findBlobMediaType(repo, digest);
  }

  listBlobHolders(digest: Digest, page: PageOptions): Promise<RepoName[]> {
    return this.#index.listBlobHolders(digest, page);
  }

  listTags(repo: RepoName, page: PageOptions): Promise<Tag[]> {
    return this.#index.listTags(repo, page);
  }

  listRepositories(page: PageOptions): Promise<RepoName[]> {
    return this.#index.listRepositories(page);
  }

  listReferrerDigests(...args: Parameters<IndexReader['listReferrerDigests']>): Promise<Digest[]> {
    return this.#index.listReferrerDigests(...args);
  }

  listReferrers(...args: Parameters<IndexReader['listReferrers']>): Promise<ReferrerRow[]> {
    return this.#index.listReferrers(...args);
  }

  probe(): Promise<void> {
    return this.#index.probe();
  }

  close(): Promise<void> {
    return this.#index.close();
  }
}
