import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { DamageRow } from '../damage-contract.ts';
import type {
  BlobRow,
  IndexReader,
  ManifestRow,
  PageOptions,
  ReferrerRow,
  ReferrersPageOptions,
  RepositoryState,
} from '../index-contract.ts';
import { DamageRows } from './damage-rows.ts';

type Row = Record<string, unknown>;

/** A manifest's columns; whether it is damaged is known by the same look-up. */
const MANIFEST = `m.digest, m.media_type, m.size_bytes,
  EXISTS (SELECT 1 FROM damage d WHERE d.repo = ?1 AND d.digest = m.digest) AS damaged`;

/**
 * Look-ups in the index; each statement is prepared once. Times are in `docs/performance.md`. The index of the table
 * is named where SQLite, which has no statistics here, would rather walk through a whole repository.
 */
export class SqliteIndexReader implements IndexReader {
  protected readonly db: DatabaseSync;
  #findRepository: StatementSync;
  #manifestByTag: StatementSync;
  #manifestByDigest: StatementSync;
  #blob: StatementSync;
  #blobMediaType: StatementSync;
  #blobHolders: StatementSync;
  #tags: StatementSync;
  #repositories: StatementSync;
  #referrers: StatementSync;
  #referrersOfTypes: StatementSync;
  #referrerDigests: StatementSync;
  #tombstoned: StatementSync;
  #whyAbsent: StatementSync;
  #damage: DamageRows;

  constructor(db: DatabaseSync) {
    this.db = db;
    this.#findRepository = db.prepare(
      'SELECT fingerprint, doubtful_until_ms, head, unreadable, problem FROM repositories WHERE name = ?',
    );
    this.#manifestByTag = db.prepare(`
      SELECT ${MANIFEST} FROM repositories r
      JOIN entries e INDEXED BY entries_by_tag ON e.repo = r.id AND e.tag = ?2
      JOIN manifests m ON m.repo = r.id AND m.digest = e.digest
      WHERE r.name = ?1 ORDER BY e.position LIMIT 1`);
    this.#manifestByDigest = db.prepare(`
      SELECT ${MANIFEST} FROM repositories r
      JOIN manifests m ON m.repo = r.id AND m.digest = ?2 WHERE r.name = ?1`);
    // Every pull asks one of these: an array is made in half the time of an object.
    this.#manifestByTag.setReturnArrays(true);
    this.#manifestByDigest.setReturnArrays(true);
    this.#blob = db.prepare('SELECT digest, size_bytes FROM blobs WHERE repo = ? AND digest = ?');
    this.#blobMediaType = db.prepare(`
      SELECT f.media_type FROM repositories r
      JOIN refs f INDEXED BY refs_by_digest ON f.repo = r.id AND f.digest = ?2
      WHERE r.name = ?1 LIMIT 1`);
    this.#blobHolders = db.prepare(`SELECT repo FROM blobs INDEXED BY blobs_by_digest
      WHERE digest = ? AND repo > ? ORDER BY repo LIMIT ?`);
    this.#tags = db.prepare(`
      SELECT DISTINCT e.tag FROM repositories r
      JOIN entries e INDEXED BY entries_by_tag ON e.repo = r.id AND e.tag > ?2
      WHERE r.name = ?1 ORDER BY e.tag LIMIT ?3`);
    this.#repositories = db.prepare(
      'SELECT name FROM repositories WHERE name > ? AND entry_count > 0 ORDER BY name LIMIT ?',
    );
    const referrers = `
      SELECT m.digest, m.media_type, m.size_bytes, m.artifact_type, m.annotations FROM repositories r
      JOIN manifests m INDEXED BY manifests_by_subject
        ON m.repo = r.id AND m.subject = ?2 AND m.digest > ?3 AND m.digest <> ?2
        AND NOT EXISTS (SELECT 1 FROM damage d WHERE d.repo = ?1 AND d.digest = m.digest)`;
    this.#referrers = db.prepare(`${referrers} WHERE r.name = ?1 ORDER BY m.digest LIMIT ?4`);
    this.#referrersOfTypes = db.prepare(`${referrers}
      WHERE r.name = ?1 AND m.artifact_type IN (SELECT value FROM json_each(?5)) ORDER BY m.digest LIMIT ?4`);
    this.#referrerDigests = db.prepare(`
      SELECT m.digest FROM repositories r
      JOIN manifests m INDEXED BY manifests_by_subject
        ON m.repo = r.id AND m.subject = ?2 AND m.digest > ?3 AND m.digest <> ?2
      WHERE r.name = ?1 ORDER BY m.digest LIMIT ?4`);
    this.#tombstoned = db.prepare('SELECT 1 FROM tombstones WHERE repo = ? AND digest = ?');
    this.#whyAbsent = db.prepare(`
      SELECT 'tombstoned' AS reason FROM tombstones WHERE repo = ?1 AND digest = ?2
      UNION ALL SELECT 'damaged' FROM damage WHERE repo = ?1 AND digest = ?2 LIMIT 1`);
    this.#damage = new DamageRows(db);
  }

  async isTombstoned(repo: RepoName, digest: Digest): Promise<boolean> {
    return this.#tombstoned.get(repo, digest) !== undefined;
  }

  async whyAbsent(repo: RepoName, digest: Digest): Promise<'tombstoned' | 'damaged' | null> {
    return (this.#whyAbsent.get(repo, digest)?.reason as 'tombstoned' | 'damaged' | undefined) ?? null;
  }

  async findDamage(repo: RepoName, digest: Digest): Promise<DamageRow | null> {
    return this.#damage.find(repo, digest);
  }

  async findRepository(repo: RepoName): Promise<RepositoryState | null> {
    const row = this.#findRepository.get(repo);
    if (row === undefined) return null;
    return {
      fingerprint: row.fingerprint as string,
      doubtfulUntilMs: row.doubtful_until_ms as number,
      head: row.head as string,
      unreadable: JSON.parse(row.unreadable as string) as string[],
      problem: row.problem as string | null,
    };
  }

  async findManifest(repo: RepoName, reference: Reference): Promise<ManifestRow | null> {
    const row =
      reference.kind === 'tag'
        ? this.#manifestByTag.get(repo, reference.tag)
        : this.#manifestByDigest.get(repo, reference.digest);
    if (row === undefined) return null;
    // The statement's columns, in the order of MANIFEST; the types know of rows that are objects only.
    const [digest, mediaType, sizeBytes, damaged] = row as unknown as [Digest, string, number, number];
    return damaged === 1
      ? { digest, mediaType, sizeBytes, isDamaged: true }
      : { digest, mediaType, sizeBytes };
  }

  async findBlob(repo: RepoName, digest: Digest): Promise<BlobRow | null> {
    const row = this.#blob.get(repo, digest);
    return row === undefined ? null : { digest: row.digest as Digest, sizeBytes: row.size_bytes as number };
  }

  async findBlobMediaType(repo: RepoName, digest: Digest): Promise<string | null> {
    return (this.#blobMediaType.get(repo, digest)?.media_type as string | undefined) ?? null;
  }

  async listBlobHolders(digest: Digest, page: PageOptions): Promise<RepoName[]> {
    return this.#blobHolders.all(digest, page.after, page.limit).map((row) => row.repo as RepoName);
  }

  async listTags(repo: RepoName, page: PageOptions): Promise<Tag[]> {
    return this.#tags.all(repo, page.after, page.limit).map((row) => row.tag as Tag);
  }

  async listRepositories(page: PageOptions): Promise<RepoName[]> {
    return this.#repositories.all(page.after, page.limit).map((row) => row.name as RepoName);
  }

  async listReferrers(repo: RepoName, subject: Digest, page: ReferrersPageOptions): Promise<ReferrerRow[]> {
    const { after, limit, artifactTypes, bytesMax = Infinity } = page;
    const rows =
      artifactTypes.length === 0
        ? this.#referrers.iterate(repo, subject, after, limit)
        : this.#referrersOfTypes.iterate(repo, subject, after, limit, JSON.stringify(artifactTypes));
    const referrers: ReferrerRow[] = [];
    let textBytes = 0;
    for (const row of rows) {
      referrers.push(referrerRow(row));
      textBytes += textLength(row.annotations) + textLength(row.artifact_type);
      if (textBytes > bytesMax) break;
    }
    return referrers;
  }

  async listReferrerDigests(repo: RepoName, subject: Digest, page: PageOptions): Promise<Digest[]> {
    const rows = this.#referrerDigests.all(repo, subject, page.after, page.limit);
    return rows.map(({ digest }) => digest as Digest);
  }

  async probe(): Promise<void> {
    this.#repositories.all('', 1);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}

function textLength(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}

function referrerRow(row: Row): ReferrerRow {
  const annotations = row.annotations as string | null;
  return {
    digest: row.digest as Digest,
    mediaType: row.media_type as string,
    sizeBytes: row.size_bytes as number,
    artifactType: row.artifact_type as string | null,
    annotations: annotations === null ? null : (JSON.parse(annotations) as Record<string, string>),
  };
}
