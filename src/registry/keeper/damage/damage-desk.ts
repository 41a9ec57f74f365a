/**
 * What is known to be damaged: noted, kept from being served as good, and mended.
 *
 * Owns: the list of damage, which stands in the records for good and in the index for those who serve.
 * Invariants: (1) what is in one list is in the other, but for a crash in between, which the next start makes good;
 * (2) all names of one file are noted together, since they share its damage; (3) a row speaks of one version of a
 * file: another version is looked at again before anybody is refused for good; (4) damage is taken off only when
 * sound bytes stand there, or when the content is gone with all that needs it.
 * Order of writes: damage is noted in the records, then in the index; it is taken off the index, then the records.
 */
import type { DamageList, DamagePlace, DamageRow } from '#metadata';
import { KeyedLock } from '#lib/keyed-lock';
import type { Digest } from '#oci/digest';
import { isNonDistributable } from '#oci/media-types';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { FileStat, ReadPacer } from '#storage';
import { examine, expectedSize, reachableStat, versionOf } from './examination.ts';
import type { Examined } from './examination.ts';
import { Mending } from './mending.ts';
import type { MendingParts } from './mending.ts';
import { isBlobInUse } from '../plans/plan-collect.ts';

export interface DamageParts extends MendingParts {
  readonly records: DamageList;
}

/** What is known of a content after a look at it. */
export type Verdict = 'sound' | 'damaged' | 'changing' | 'absent';

const PAGE = 500;
const ATTEMPTS_MAX = 3;
/** A content up to this size is read while a request waits; a larger one is read afterwards. */
const AT_ONCE_BYTES_MAX = 16 * 1024 * 1024;

export class DamageDesk {
  #parts: DamageParts;
  #mending: Mending;
  /** One look at a content at a time, whoever asks. */
  #looks = new Map<string, Promise<Verdict>>();
  /** Copies that pushes want to rely on: each is read once, however many pushes wait for it. */
  #proofs = new Map<string, Promise<boolean>>();
  /** Large contents are read for requests one after another. */
  #large = new KeyedLock();
  /** Contents that are looked at and mended after an answer: each once, however many ask for it meanwhile. */
  #mends = new Set<string>();
  #background = new Set<Promise<unknown>>();
  #stopping = new AbortController();

  constructor(parts: DamageParts) {
    this.#parts = parts;
    this.#mending = new Mending(parts, {
      note: (repo, digest, found) => this.#note(repo, digest, found),
      mended: async (repo, digest) => {
        await this.#clear(repo, digest);
        // What a manifest says is not known while it is damaged.
        this.#later({ repo, digest }, () => parts.changes.change(repo, { kind: 'refresh', unread: digest }));
      },
    });
  }

  /** Makes each of the two lists hold what the other holds; to be called before anything is served. */
  async join(): Promise<void> {
    const { index, records } = this.#parts;
    await addMissing(records, index);
    await addMissing(index, records);
  }

  /**
   * Looks at a content that a request found wanting, or that was changed since it was found damaged, and notes what
   * it comes to. Gives whether it is sound; `null` when it is too large to wait for.
   */
  async lookAt(repo: RepoName, digest: Digest): Promise<boolean | null> {
    const stat = await reachableStat(this.#parts.storage.repository(repo), digest);
    const look = (): Promise<Verdict> =>
      this.examine(repo, digest, () => this.#stopping.signal.throwIfAborted());
    if ((stat?.sizeBytes ?? 0) <= AT_ONCE_BYTES_MAX) {
      const verdict = await look();
      if (verdict === 'damaged') this.#mendLater(repo, digest, async () => verdict);
      return verdict === 'sound';
    }
    this.#mendLater(repo, digest, () => this.#large.run('', look));
    return null;
  }

  /** Mends a content after the answer if `look` finds it damaged; nothing is begun that is under way for another. */
  #mendLater(repo: RepoName, digest: Digest, look: () => Promise<Verdict>): void {
    const key = keyOf(repo, digest);
    if (this.#mends.has(key)) return;
    this.#mends.add(key);
    this.#later({ repo, digest }, async () => {
      try {
        if ((await look()) === 'damaged') await this.mend(repo, digest);
      } finally {
        this.#mends.delete(key);
      }
    });
  }

  /** Reads a content and notes what it comes to; `onRead` paces the reading and may end it by throwing. */
  async examine(repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<Verdict> {
    const key = keyOf(repo, digest);
    for (let running = this.#looks.get(key); running !== undefined; running = this.#looks.get(key)) {
      // Whoever began it broke it off, or met a fault, which this one will meet itself.
      const verdict = await running.catch(() => null);
      if (verdict !== null) return verdict;
    }
    const look = this.#rested(repo, digest, onRead).finally(() => this.#looks.delete(key));
    this.#looks.set(key, look);
    return look;
  }

  /**
   * Reads a copy that a push wants to rely on, and notes what it comes to. Gives whether that could be done.
   * Nobody waits for a look of somebody else, whose pace may be that of a scrub.
   */
  prove(repo: RepoName, digest: Digest): Promise<boolean> {
    const key = keyOf(repo, digest);
    const running = this.#proofs.get(key);
    if (running !== undefined) return running;
    const proof = this.#prove(repo, digest).finally(() => this.#proofs.delete(key));
    this.#proofs.set(key, proof);
    return proof;
  }

  async #prove(repo: RepoName, digest: Digest): Promise<boolean> {
    const { signal } = this.#stopping;
    try {
      return (await this.#rested(repo, digest, () => signal.throwIfAborted())) !== 'changing';
    } catch (error) {
      // The push goes on without it, by its own bytes.
      if (signal.aborted) return false;
      if (!(error instanceof StorageError)) throw error;
      this.#parts.report(repo, digest, `it could not be looked at for a push: ${error.message}`);
      return false;
    }
  }

  /** A file that was replaced while it was looked at is looked at again. */
  async #rested(repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<Verdict> {
    for (let attempt = 1; ; attempt += 1) {
      const verdict = await this.#examine(repo, digest, onRead);
      if (verdict !== 'changing' || attempt === ATTEMPTS_MAX) return verdict;
    }
  }

  async #examine(repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<Verdict> {
    const { storage, index } = this.#parts;
    const sizeBytes = await expectedSize(index, repo, digest);
    const store = storage.repository(repo);
    const found = await examine({ store, digest, expectedSizeBytes: sizeBytes, onRead });
    if (found === null) return 'changing';
    if (found.state === 'damaged' && found.kind === 'missing' && !(await this.#isNeeded(repo, digest))) {
      await this.#clear(repo, digest);
      return 'absent';
    }
    if (found.state === 'damaged') {
      return (await this.#note(repo, digest, found)) ? 'damaged' : 'changing';
    }
    this.#parts.sharing.noteSound(repo, digest, found.stat);
    // Its bytes are right: a size that says otherwise was given by somebody who was wrong.
    const blob = await index.findBlob(repo, digest);
    if (blob !== null && blob.sizeBytes !== found.stat.sizeBytes)
      await index.addBlobs(repo, [{ digest, sizeBytes: found.stat.sizeBytes }]);
    if ((await index.findDamage(repo, digest)) !== null) await this.#standsAgain(repo, digest, found.stat);
    return 'sound';
  }

  async #isNeeded(repo: RepoName, digest: Digest): Promise<boolean> {
    const { index } = this.#parts;
    const mediaType = await index.findBlobMediaType(repo, digest);
    if (mediaType !== null && isNonDistributable(mediaType)) return false;
    const entries = await index.findEntries(repo, { kind: 'digest', digest });
    return entries.length > 0 || isBlobInUse(index, repo, digest);
  }

  /** Notes damage of a file for every repository that has a name of it; `false`: it is another file by now. */
  #note(repo: RepoName, digest: Digest, found: Extract<Examined, { state: 'damaged' }>): Promise<boolean> {
    const { index, records, sharing, report, nowMs } = this.#parts;
    const { kind, detail, stat } = found;
    return sharing.exclusively(repo, digest, async () => {
      if (!(await this.#isStill(repo, digest, stat))) return false;
      sharing.noteDamaged(repo, digest);
      const foundMs = nowMs();
      for await (const holders of this.#sharers(repo, digest, stat)) {
        const rows = holders.map(({ name, version }) => ({
          repo: name,
          digest,
          kind,
          version,
          detail,
          foundMs,
        }));
        const fresh: DamageRow[] = [];
        for (const row of rows) if (await this.#isNews(row)) fresh.push(row);
        await records.addDamage(rows);
        await index.addDamage(rows);
        for (const row of fresh)
          report(row.repo, digest, `the stored content is damaged (${kind}): ${detail}`);
      }
      return true;
    });
  }

  /** Whether nobody changed a file since it was looked at. */
  async #isStill(repo: RepoName, digest: Digest, stat: FileStat | null): Promise<boolean> {
    const now = await reachableStat(this.#parts.storage.repository(repo), digest);
    return versionOf(now) === versionOf(stat);
  }

  async #isNews({ repo, digest, version, kind }: DamageRow): Promise<boolean> {
    const known = await this.#parts.index.findDamage(repo, digest);
    return known?.version !== version || known.kind !== kind;
  }

  /** The repository itself, and page by page all others whose name leads to the same file. */
  async *#sharers(
    repo: RepoName,
    digest: Digest,
    stat: FileStat | null,
  ): AsyncIterable<{ readonly name: RepoName; readonly version: string }[]> {
    const { index, storage } = this.#parts;
    yield [{ name: repo, version: versionOf(stat) }];
    if (stat?.identity === undefined) return;
    for (let after: string = ''; ;) {
      const page = await index.listBlobHolders(digest, { after, limit: PAGE });
      const sharers: { name: RepoName; version: string }[] = [];
      for (const name of page) {
        if (name === repo || !storage.shareStore(name, repo)) continue;
        const other = await reachableStat(storage.repository(name), digest);
        if (other?.identity === stat.identity) sharers.push({ name, version: versionOf(other) });
      }
      if (sharers.length > 0) yield sharers;
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  // --- mending ---

  /**
   * Replaces damaged bytes by those of a copy that has them right, if there is one in another file. Gives whether
   * sound bytes stand there now.
   */
  async mend(repo: RepoName, digest: Digest, onRead: ReadPacer = () => undefined): Promise<boolean> {
    const pacer = async (bytes: number): Promise<void> => {
      this.#stopping.signal.throwIfAborted();
      await onRead(bytes);
    };
    const mended = await this.#mending.mend(repo, digest, pacer);
    if (mended) this.#mendOthersLater(repo, digest);
    return mended;
  }

  /** Mends all damaged copies of a content from a repository where it was just found to be sound. */
  mendOthers(from: RepoName, digest: Digest, onRead: ReadPacer): Promise<void> {
    return this.#mending.mendOthers(from, digest, onRead);
  }

  /**
   * Sound bytes were just given this name, under the lock of their digest: damage that was known of it is over, and
   * copies elsewhere can be mended from it.
   */
  async replaced(repo: RepoName, digest: Digest): Promise<void> {
    const [any] = await this.#parts.index.listDamagedCopies(digest, { after: '', limit: 1 });
    if (any === undefined) return;
    await this.#clear(repo, digest);
    this.#mendOthersLater(repo, digest);
  }

  #mendOthersLater(repo: RepoName, digest: Digest): void {
    this.#later({ repo, digest }, () =>
      this.#mending.mendOthers(repo, digest, () => this.#stopping.signal.throwIfAborted()),
    );
  }

  /** As `replaced`, for a manifest that was just pushed. */
  async pushed(repo: RepoName, digest: Digest): Promise<void> {
    const [any] = await this.#parts.index.listDamagedCopies(digest, { after: '', limit: 1 });
    if (any === undefined) return;
    await this.#parts.sharing.exclusively(repo, digest, () => this.replaced(repo, digest));
  }

  /** As `replaced`, for bytes that were found to be sound again. */
  async #standsAgain(repo: RepoName, digest: Digest, stat: FileStat): Promise<void> {
    const { changes, sharing } = this.#parts;
    await sharing.exclusively(repo, digest, async () => {
      if (await this.#isStill(repo, digest, stat)) await this.replaced(repo, digest);
    });
    // What a manifest says is not known while it is damaged.
    await changes.change(repo, { kind: 'refresh', unread: digest });
  }

  /** Notes damage that is known already, of content that stands somewhere else too. */
  async add(rows: readonly DamageRow[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#parts.records.addDamage(rows);
    await this.#parts.index.addDamage(rows);
  }

  /** Takes off the damage of content that is gone with all that needed it. */
  async forget(repo: RepoName, digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) await this.#clear(repo, digest);
  }

  async #clear(repo: RepoName, digest: Digest): Promise<void> {
    const { index, records, report } = this.#parts;
    if ((await index.findDamage(repo, digest)) === null) return;
    await index.removeDamage(repo, [digest]);
    await records.removeDamage(repo, [digest]);
    report(repo, digest, 'the damage of the stored content is over');
  }

  /** Does something after the answer; what it cannot do is tried again by the next scrub. */
  #later(place: DamagePlace, work: () => Promise<unknown>): void {
    if (this.#stopping.signal.aborted) return;
    const running = this.#parts.changes
      .afterwards(work)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#parts.report(
            place.repo,
            place.digest,
            `it could not be looked at or mended: ${String(error)}`,
          );
      })
      .finally(() => this.#background.delete(running));
    this.#background.add(running);
  }

  /** Ends what is under way and waits for its end. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('the keeper stops'));
    await Promise.allSettled(this.#proofs.values());
    while (this.#background.size > 0) await Promise.all(this.#background);
  }
}

function keyOf(repo: RepoName, digest: Digest): string {
  return `${repo} ${digest}`;
}

async function addMissing(from: DamageList, to: DamageList): Promise<void> {
  for (let after: DamagePlace | null = null; ;) {
    const page: DamageRow[] = await from.listDamage({ after, limit: PAGE });
    const missing: DamageRow[] = [];
    for (const row of page) if ((await to.findDamage(row.repo, row.digest)) === null) missing.push(row);
    if (missing.length > 0) await to.addDamage(missing);
    after = page.at(-1) ?? null;
    if (after === null) return;
  }
}
