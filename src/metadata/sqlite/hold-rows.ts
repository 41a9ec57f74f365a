import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { Hold } from '../history-contract.ts';

/** The statements of holds, prepared once. */
export class HoldRows {
  #add: StatementSync;
  #remove: StatementSync;
  #isHeld: StatementSync;
  #otherRoot: StatementSync;
  #find: StatementSync;
  #byTime: StatementSync;
  #ofRoot: StatementSync;
  #held: StatementSync;
  #shift: StatementSync;
  #clamp: StatementSync;
  #move: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = 'repo, digest, root, since_ms, size_bytes, media_type';
    this.#add = db.prepare(`INSERT INTO holds (${columns}) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET since_ms = max(since_ms, excluded.since_ms),
        media_type = coalesce(excluded.media_type, media_type)`);
    this.#remove = db.prepare(
      'DELETE FROM holds WHERE repo = ? AND digest = ? AND root = ? AND since_ms = ?',
    );
    this.#isHeld = db.prepare('SELECT 1 FROM holds WHERE repo = ? AND digest = ? LIMIT 1');
    this.#otherRoot = db.prepare(
      'SELECT root FROM holds WHERE repo = ? AND digest = ? AND root <> ? LIMIT 1',
    );
    this.#find = db.prepare(`SELECT ${columns} FROM holds WHERE repo = ? AND digest = ?
      ORDER BY media_type IS NULL, since_ms DESC LIMIT 1`);
    this.#byTime = db.prepare(`SELECT ${columns} FROM holds INDEXED BY holds_by_time
      WHERE since_ms <= ?1 AND (since_ms, repo, digest, root) > (?2, ?3, ?4, ?5)
      ORDER BY since_ms, repo, digest, root LIMIT ?6`);
    this.#ofRoot = db.prepare(`SELECT ${columns} FROM holds INDEXED BY holds_by_root
      WHERE repo = ? AND root = ? AND digest > ? ORDER BY digest LIMIT ?`);
    this.#held = db.prepare(`SELECT digest, max(size_bytes) AS size_bytes FROM holds
      WHERE repo = ? AND digest > ? GROUP BY digest ORDER BY digest LIMIT ?`);
    this.#shift = db.prepare('UPDATE holds SET since_ms = since_ms + ?');
    this.#clamp = db.prepare('UPDATE holds SET since_ms = ?1 WHERE since_ms > ?1');
    this.#move = db.prepare(`UPDATE OR REPLACE holds SET repo = ?2 WHERE (repo, digest, root) IN
      (SELECT repo, digest, root FROM holds WHERE repo = ?1 LIMIT ?3)`);
  }

  add(hold: Hold): void {
    const { repo, digest, root, sinceMs, sizeBytes, mediaType } = hold;
    this.#add.run(repo, digest, root, Math.floor(sinceMs), sizeBytes, mediaType);
  }

  remove({ repo, digest, root, sinceMs }: Hold): void {
    this.#remove.run(repo, digest, root, sinceMs);
  }

  isHeld(repo: RepoName, digest: Digest): boolean {
    return this.#isHeld.get(repo, digest) !== undefined;
  }

  findOtherRoot(repo: RepoName, digest: Digest, root: Digest): Digest | null {
    return (this.#otherRoot.get(repo, digest, root)?.root as Digest | undefined) ?? null;
  }

  find(repo: RepoName, digest: Digest): Hold | null {
    const row = this.#find.get(repo, digest);
    return row === undefined ? null : holdOf(row);
  }

  list({ beforeMs, after, limit }: { beforeMs: number; after: Hold | null; limit: number }): Hold[] {
    const position = [after?.sinceMs ?? -1, after?.repo ?? '', after?.digest ?? '', after?.root ?? ''];
    return this.#byTime.all(Math.floor(beforeMs), ...position, limit).map(holdOf);
  }

  listOf(repo: RepoName, root: Digest, page: { after: string; limit: number }): Hold[] {
    return this.#ofRoot.all(repo, root, page.after, page.limit).map(holdOf);
  }

  listHeld(repo: RepoName, page: { after: string; limit: number }): { digest: Digest; sizeBytes: number }[] {
    const rows = this.#held.all(repo, page.after, page.limit);
    return rows.map((row) => ({ digest: row.digest as Digest, sizeBytes: row.size_bytes as number }));
  }

  shiftTimes(byMs: number): void {
    this.#shift.run(Math.floor(byMs));
  }

  clampTimes(nowMs: number): void {
    this.#clamp.run(Math.floor(nowMs));
  }

  /** Gives whether there may be more. */
  moveSome(from: RepoName, to: RepoName, limit: number): boolean {
    return Number(this.#move.run(from, to, limit).changes) >= limit;
  }
}

function holdOf(row: Record<string, unknown>): Hold {
  return {
    repo: row.repo as RepoName,
    digest: row.digest as Digest,
    root: row.root as Digest,
    sinceMs: row.since_ms as number,
    sizeBytes: row.size_bytes as number,
    mediaType: row.media_type as string | null,
  };
}
