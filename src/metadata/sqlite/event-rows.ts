import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { TAG_EVENTS_MAX } from '../history-contract.ts';
import type {
  EventRange,
  GoneTag,
  NewTagEvent,
  PendingTagEvent,
  TagEvent,
  TagEventKey,
  TagEventKind,
} from '../history-contract.ts';

const REMOVALS: ReadonlySet<string> = new Set<TagEventKind>(['deleted', 'manifestDeleted', 'purged']);

/** The statements of tag events, prepared once. Every change keeps `gone_tags` in step with the newest event. */
export class EventRows {
  #insert: StatementSync;
  #last: StatementSync;
  #removeOld: StatementSync;
  #confirm: StatementSync;
  #takeBack: StatementSync;
  #pendingRepos: StatementSync;
  #pending: StatementSync;
  #list: StatementSync;
  #setGone: StatementSync;
  #removeGone: StatementSync;
  #gone: StatementSync;
  #isGone: StatementSync;
  #forget: StatementSync;
  #shiftGone: StatementSync;
  #clampGone: StatementSync;
  #move: StatementSync;
  #moveGone: StatementSync;
  #clear: StatementSync;
  #clearGone: StatementSync;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(`INSERT INTO tag_events (repo, tag, seq, kind, digest, previous, media_type,
      size_bytes, at_ms, done_by, pending) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`);
    this.#last = db.prepare(`SELECT seq, at_ms, kind FROM tag_events WHERE repo = ? AND tag = ?
      ORDER BY seq DESC LIMIT 1`);
    this.#removeOld = db.prepare('DELETE FROM tag_events WHERE repo = ? AND tag = ? AND seq <= ?');
    const key = 'repo = ? AND tag = ? AND seq = ?';
    this.#confirm = db.prepare(`UPDATE tag_events SET pending = 0 WHERE ${key}`);
    this.#takeBack = db.prepare(`DELETE FROM tag_events WHERE ${key} AND pending = 1`);
    this.#pendingRepos = db.prepare(`SELECT DISTINCT repo FROM tag_events INDEXED BY tag_events_pending
      WHERE pending = 1`);
    this.#pending = db.prepare(`SELECT repo, tag, seq, kind, digest FROM tag_events
      INDEXED BY tag_events_pending WHERE pending = 1 AND repo = ?`);
    this.#list = db.prepare(`SELECT * FROM tag_events WHERE repo = ?1 AND tag = ?2 AND at_ms < ?3
      AND at_ms > ?4 AND (?5 IS NULL OR digest = ?5) ORDER BY seq DESC LIMIT ?6`);
    this.#setGone = db.prepare('INSERT OR REPLACE INTO gone_tags (repo, tag, since_ms) VALUES (?, ?, ?)');
    this.#removeGone = db.prepare('DELETE FROM gone_tags WHERE repo = ? AND tag = ?');
    this.#gone = db.prepare(`SELECT repo, tag, since_ms FROM gone_tags INDEXED BY gone_tags_by_time
      WHERE since_ms <= ?1 AND (since_ms, repo, tag) > (?2, ?3, ?4) ORDER BY since_ms, repo, tag LIMIT ?5`);
    this.#isGone = db.prepare('SELECT 1 FROM gone_tags WHERE repo = ? AND tag = ? AND since_ms = ?');
    this.#forget = db.prepare('DELETE FROM tag_events WHERE repo = ? AND tag = ?');
    this.#shiftGone = db.prepare('UPDATE gone_tags SET since_ms = since_ms + ?');
    this.#clampGone = db.prepare('UPDATE gone_tags SET since_ms = ?1 WHERE since_ms > ?1');
    this.#move = db.prepare(`UPDATE tag_events SET repo = ?2 WHERE (repo, tag, seq) IN
      (SELECT repo, tag, seq FROM tag_events WHERE repo = ?1 ORDER BY tag, seq LIMIT ?3)`);
    this.#moveGone = db.prepare('UPDATE OR REPLACE gone_tags SET repo = ?2 WHERE repo = ?1');
    this.#clear = db.prepare(`DELETE FROM tag_events WHERE (repo, tag, seq) IN
      (SELECT repo, tag, seq FROM tag_events WHERE repo = ?1 LIMIT ?2)`);
    this.#clearGone = db.prepare('DELETE FROM gone_tags WHERE repo = ?');
  }

  /** Appends an event; behind the newest one of the tag, whatever the clock says. */
  add(event: NewTagEvent, nowMs: number): TagEventKey {
    const { repo, tag, kind, digest, previous, mediaType, sizeBytes, by } = event;
    const last = this.#last.get(repo, tag);
    const seq = last === undefined ? 1 : (last.seq as number) + 1;
    const atMs = Math.max(Math.floor(nowMs), last === undefined ? 0 : (last.at_ms as number) + 1);
    this.#insert.run(repo, tag, seq, kind, digest, previous, mediaType, sizeBytes, atMs, by);
    if (seq > TAG_EVENTS_MAX) this.#removeOld.run(repo, tag, seq - TAG_EVENTS_MAX);
    // By the clock, not by the event: a tag that is gone is forgotten when its time is over.
    if (REMOVALS.has(kind)) this.#setGone.run(repo, tag, Math.floor(nowMs));
    else if (last !== undefined) this.#removeGone.run(repo, tag);
    return { repo, tag, seq };
  }

  confirm({ repo, tag, seq }: TagEventKey): void {
    this.#confirm.run(repo, tag, seq);
  }

  takeBack({ repo, tag, seq }: TagEventKey): void {
    if (Number(this.#takeBack.run(repo, tag, seq).changes) === 0) return;
    const last = this.#last.get(repo, tag);
    if (last !== undefined && REMOVALS.has(last.kind as string))
      this.#setGone.run(repo, tag, last.at_ms as number);
    else this.#removeGone.run(repo, tag);
  }

  pendingRepositories(): RepoName[] {
    return this.#pendingRepos.all().map((row) => row.repo as RepoName);
  }

  listPending(repo: RepoName): PendingTagEvent[] {
    return this.#pending.all(repo).map((row) => ({
      repo,
      tag: row.tag as Tag,
      seq: row.seq as number,
      kind: row.kind as TagEventKind,
      digest: row.digest as Digest,
    }));
  }

  list(repo: RepoName, tag: Tag, range: EventRange): TagEvent[] {
    const { beforeMs, sinceMs, digest, limit } = range;
    return this.#list.all(repo, tag, beforeMs, sinceMs, digest, limit).map(eventOf);
  }

  listGone({
    beforeMs,
    after,
    limit,
  }: {
    beforeMs: number;
    after: GoneTag | null;
    limit: number;
  }): GoneTag[] {
    const position = [after?.sinceMs ?? -1, after?.repo ?? '', after?.tag ?? ''];
    return this.#gone.all(Math.floor(beforeMs), ...position, limit).map((row) => ({
      repo: row.repo as RepoName,
      tag: row.tag as Tag,
      sinceMs: row.since_ms as number,
    }));
  }

  forgetTag({ repo, tag, sinceMs }: GoneTag): void {
    if (this.#isGone.get(repo, tag, sinceMs) === undefined) return;
    this.#forget.run(repo, tag);
    this.#removeGone.run(repo, tag);
  }

  shiftTimes(byMs: number): void {
    this.#shiftGone.run(Math.floor(byMs));
  }

  clampTimes(nowMs: number): void {
    this.#clampGone.run(Math.floor(nowMs));
  }

  /** Gives whether there may be more. */
  clearSome(repo: RepoName, limit: number): boolean {
    this.#clearGone.run(repo);
    return Number(this.#clear.run(repo, limit).changes) >= limit;
  }

  /** Gives whether there may be more. */
  moveSome(from: RepoName, to: RepoName, limit: number): boolean {
    this.#moveGone.run(from, to);
    return Number(this.#move.run(from, to, limit).changes) >= limit;
  }
}

function eventOf(row: Record<string, unknown>): TagEvent {
  return {
    repo: row.repo as RepoName,
    tag: row.tag as Tag,
    kind: row.kind as TagEventKind,
    digest: row.digest as Digest,
    previous: row.previous as Digest | null,
    mediaType: row.media_type as string,
    sizeBytes: row.size_bytes as number,
    atMs: row.at_ms as number,
    by: row.done_by as string,
  };
}
