import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { ReadPacer, Storage } from '#storage';
import type { BlobSharing } from '../blobs/blob-sharing.ts';
import type { Changes } from '../changes.ts';
import { reachableStat, versionOf } from './examination.ts';
import type { Examined } from './examination.ts';

export interface MendingParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly changes: Changes;
  readonly sharing: BlobSharing;
  readonly report: (repo: RepoName, digest: Digest, problem: string) => void;
  readonly nowMs: () => number;
}

/** What mending tells the list of damage. */
export interface DamageNotes {
  /** A copy that was to mend another is damaged itself. */
  note(repo: RepoName, digest: Digest, found: Extract<Examined, { state: 'damaged' }>): Promise<boolean>;
  /** Sound bytes are in the place; called under the lock of the digest. */
  mended(repo: RepoName, digest: Digest): Promise<void>;
}

const PAGE = 200;

/**
 * Puts sound bytes in the place of damaged ones: copied from another file and proven on the way, staged beside the
 * place and renamed into it, so that every reader sees one or the other as a whole.
 */
export class Mending {
  #parts: MendingParts;
  #notes: DamageNotes;

  constructor(parts: MendingParts, notes: DamageNotes) {
    this.#parts = parts;
    this.#notes = notes;
  }

  /** Gives whether sound bytes were put there, or nothing was to be mended. */
  async mend(repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<boolean> {
    if ((await this.#parts.index.findDamage(repo, digest)) === null) return true;
    for await (const source of this.#copies(repo, digest)) {
      try {
        if (await this.#copyFrom(source, repo, digest, onRead)) return true;
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        // No room, or one of the two is out of reach: another copy may do.
        this.#parts.report(repo, digest, `the copy in ${source} could not mend it: ${error.message}`);
      }
    }
    return false;
  }

  /** Mends all damaged copies of a digest from a repository where it is sound. */
  async mendOthers(from: RepoName, digest: Digest, onRead: ReadPacer): Promise<void> {
    for (let after: RepoName | '' = ''; ;) {
      const page: readonly { readonly repo: RepoName }[] = await this.#parts.index.listDamagedCopies(digest, {
        after,
        limit: PAGE,
      });
      for (const { repo } of page) {
        if (repo !== from) await this.#mendOther(from, repo, digest, onRead);
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.repo;
    }
  }

  async #mendOther(from: RepoName, repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<void> {
    const { storage, sharing } = this.#parts;
    try {
      const isShared = storage.shareStore(from, repo) && sharing.shares(storage.storeOf(repo));
      if (isShared && (await this.#linkTo(from, repo, digest))) return;
      await this.#copyFrom(from, repo, digest, onRead);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#parts.report(repo, digest, `the copy in ${from} could not mend it: ${error.message}`);
    }
  }

  /**
   * Repositories with a copy in another file that is not known to be damaged: blobs first, then what else has the file,
   * a manifest, or what is garbage or held, and is kept until nobody can be mended from it any more.
   */
  async *#copies(repo: RepoName, digest: Digest): AsyncIterable<RepoName> {
    const { index } = this.#parts;
    for (let after = ''; ;) {
      const page = await index.listBlobHolders(digest, { after, limit: PAGE });
      for (const name of page) if (await this.#mayMend(name, repo, digest)) yield name;
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    for (let after = ''; ;) {
      const page = await index.listKnownRepositories({ after, limit: PAGE });
      for (const name of page) {
        // Those that have it as a blob were asked above: a copy that could not be used is not read again.
        if ((await index.findBlob(name, digest)) === null && (await this.#mayMend(name, repo, digest)))
          yield name;
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
      // With many repositories nobody else would have a turn.
      await nextTurn();
    }
  }

  async #mayMend(source: RepoName, repo: RepoName, digest: Digest): Promise<boolean> {
    const { index, storage } = this.#parts;
    if (source === repo || (await index.findDamage(source, digest)) !== null) return false;
    const there = await reachableStat(storage.repository(source), digest);
    if (there === null) return false;
    const here = await reachableStat(storage.repository(repo), digest);
    const isSameFile = there.identity !== undefined && there.identity === here?.identity;
    return !(isSameFile && storage.shareStore(source, repo));
  }

  async #copyFrom(source: RepoName, repo: RepoName, digest: Digest, onRead: ReadPacer): Promise<boolean> {
    const { storage } = this.#parts;
    const [from, to] = [storage.repository(source), storage.repository(repo)];
    const stat = await from.statBlob(digest);
    const staged = await to.copyBlob(digest, onRead, from);
    if (staged === null) return false;
    let isPlaced = false;
    try {
      if (staged.digest === digest) {
        isPlaced = await this.#place(repo, digest, async () => {
          await to.placeCopy(staged, digest);
          this.#parts.sharing.notePlaced(repo, digest);
        });
        return isPlaced;
      }
      const detail = `its bytes have the digest ${staged.digest}`;
      // Changed while it was read, it proves nothing.
      if (stat !== null && versionOf(stat) === versionOf(await from.statBlob(digest)))
        await this.#notes.note(source, digest, { state: 'damaged', kind: 'wrong-digest', detail, stat });
      return false;
    } finally {
      if (!isPlaced) await to.discardCopy(staged);
    }
  }

  /** Links to a file of the same store that is sound; gives whether that could be. */
  async #linkTo(source: RepoName, repo: RepoName, digest: Digest): Promise<boolean> {
    const { storage } = this.#parts;
    const [from, to] = [storage.repository(source), storage.repository(repo)];
    try {
      return await this.#place(repo, digest, async () => {
        if ((await this.#parts.index.findDamage(source, digest)) !== null)
          throw new StorageError('corrupt', source);
        const stat = await from.statBlob(digest);
        await to.mountBlob(from, digest, { mustShare: true });
        if (stat !== null) this.#parts.sharing.noteMounted(digest, { from: source, to: repo }, stat);
      });
    } catch (error) {
      // Too many links, or gone: a copy may do.
      if (error instanceof StorageError) return false;
      throw error;
    }
  }

  /** Lets sound bytes take the place, if it is damaged still; whoever pushed or deleted it meanwhile was first. */
  #place(repo: RepoName, digest: Digest, place: () => Promise<void>): Promise<boolean> {
    const { changes, sharing, index } = this.#parts;
    return changes.onBlob(repo, digest, () =>
      sharing.exclusively(repo, digest, async () => {
        if ((await index.findDamage(repo, digest)) === null) return false;
        await place();
        await this.#record(repo, digest);
        await this.#notes.mended(repo, digest);
        return true;
      }),
    );
  }

  /**
   * A blob that was missing is known again; whether anything needs it still is judged as of any other. What was deleted
   * stays so, though its bytes are held for undo and were made good.
   */
  async #record(repo: RepoName, digest: Digest): Promise<void> {
    const { index, storage, nowMs } = this.#parts;
    if (await index.isTombstoned(repo, digest)) return;
    const stat = await storage.repository(repo).statBlob(digest);
    const manifest = await index.findManifest(repo, { kind: 'digest', digest });
    if (manifest === null && stat !== null)
      await index.recordBlob(repo, { digest, sizeBytes: stat.sizeBytes }, nowMs());
  }
}
