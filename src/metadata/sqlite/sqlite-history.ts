import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type {
  EventRange,
  GoneTag,
  History,
  HistoryBatch,
  Hold,
  PendingTagEvent,
  TagEvent,
  TagEventKey,
} from '../history-contract.ts';
import { EventRows } from './event-rows.ts';
import { HoldRows } from './hold-rows.ts';
import { Transactions } from './transactions.ts';

/** Rows written between two turns of the event loop. */
const SLICE_ROWS = 500;

/**
 * The history in the file of the records. Most of it is written over a connection of its own that does not wait for
 * the disk (synchronous NORMAL), so that a push costs no further sync; `durable` batches go over the one that does,
 * which makes everything before them durable too. One thread uses both in turn, so neither meets the other's lock.
 */
export class SqliteHistory implements History {
  #fast: Connection;
  #durable: Connection;

  constructor(fast: DatabaseSync, durable: DatabaseSync) {
    this.#fast = new Connection(fast);
    this.#durable = new Connection(durable);
  }

  async append(batch: HistoryBatch): Promise<TagEventKey[]> {
    const { holds, events, nowMs, confirmed } = batch;
    const connection = batch.durable ? this.#durable : this.#fast;
    if (holds.length + events.length + confirmed.length <= SLICE_ROWS) {
      return connection.transaction(() => {
        for (const key of confirmed) connection.events.confirm(key);
        for (const hold of holds) connection.holds.add(hold);
        return events.map((event) => connection.events.add(event, nowMs));
      });
    }
    await connection.inSlices(confirmed, (key) => connection.events.confirm(key));
    await connection.inSlices(holds, (hold) => connection.holds.add(hold));
    const keys: TagEventKey[] = [];
    await connection.inSlices(events, (event) => void keys.push(connection.events.add(event, nowMs)));
    return keys;
  }

  async confirm(events: readonly TagEventKey[]): Promise<void> {
    await this.#fast.inSlices(events, (key) => this.#fast.events.confirm(key));
  }

  async takeBack(events: readonly TagEventKey[]): Promise<void> {
    await this.#fast.inSlices(events, (key) => this.#fast.events.takeBack(key));
  }

  async pendingRepositories(): Promise<RepoName[]> {
    return this.#fast.events.pendingRepositories();
  }

  async listPending(repo: RepoName): Promise<PendingTagEvent[]> {
    return this.#fast.events.listPending(repo);
  }

  async listEvents(repo: RepoName, tag: Tag, range: EventRange): Promise<TagEvent[]> {
    return this.#fast.events.list(repo, tag, range);
  }

  async listGone(page: { beforeMs: number; after: GoneTag | null; limit: number }): Promise<GoneTag[]> {
    return this.#fast.events.listGone(page);
  }

  async forgetTag(gone: GoneTag): Promise<void> {
    this.#fast.transaction(() => this.#fast.events.forgetTag(gone));
  }

  async isHeld(repo: RepoName, digest: Digest): Promise<boolean> {
    return this.#fast.holds.isHeld(repo, digest);
  }

  async findOtherRoot(repo: RepoName, digest: Digest, root: Digest): Promise<Digest | null> {
    return this.#fast.holds.findOtherRoot(repo, digest, root);
  }

  async findHold(repo: RepoName, digest: Digest): Promise<Hold | null> {
    return this.#fast.holds.find(repo, digest);
  }

  async listHolds(page: { beforeMs: number; after: Hold | null; limit: number }): Promise<Hold[]> {
    return this.#fast.holds.list(page);
  }

  async listHoldsOf(repo: RepoName, root: Digest, page: { after: string; limit: number }): Promise<Hold[]> {
    return this.#fast.holds.listOf(repo, root, page);
  }

  async listHeld(
    repo: RepoName,
    page: { after: string; limit: number },
  ): Promise<{ digest: Digest; sizeBytes: number }[]> {
    return this.#fast.holds.listHeld(repo, page);
  }

  async removeHolds(holds: readonly Hold[]): Promise<void> {
    await this.#fast.inSlices(holds, (hold) => this.#fast.holds.remove(hold));
  }

  async shiftTimes(byMs: number): Promise<void> {
    this.#fast.transaction(() => {
      this.#fast.holds.shiftTimes(byMs);
      this.#fast.events.shiftTimes(byMs);
    });
  }

  async clampTimes(nowMs: number): Promise<void> {
    this.#fast.transaction(() => {
      this.#fast.holds.clampTimes(nowMs);
      this.#fast.events.clampTimes(nowMs);
    });
  }

  async forgetEvents(repo: RepoName): Promise<void> {
    await this.#repeat(() => this.#durable.events.clearSome(repo, SLICE_ROWS));
  }

  async moveRepository(from: RepoName, to: RepoName): Promise<void> {
    await this.#repeat(() => this.#durable.events.moveSome(from, to, SLICE_ROWS));
    await this.#repeat(() => this.#durable.holds.moveSome(from, to, SLICE_ROWS));
  }

  /** Closes the connection that is its own. */
  async close(): Promise<void> {
    this.#fast.close();
  }

  async #repeat(step: () => boolean): Promise<void> {
    while (this.#durable.transaction(step)) await nextTurn();
  }
}

/** One connection with its statements. */
class Connection {
  readonly events: EventRows;
  readonly holds: HoldRows;
  #db: DatabaseSync;
  #transactions: Transactions;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#transactions = new Transactions(db);
    this.events = new EventRows(db);
    this.holds = new HoldRows(db);
  }

  transaction<Result>(work: () => Result): Result {
    return this.#transactions.run(work);
  }

  async inSlices<Item>(items: readonly Item[], write: (item: Item) => void): Promise<void> {
    for (let at = 0; at < items.length; at += SLICE_ROWS) {
      if (at > 0) await nextTurn();
      this.transaction(() => items.slice(at, at + SLICE_ROWS).forEach(write));
    }
  }

  close(): void {
    this.#db.close();
  }
}
