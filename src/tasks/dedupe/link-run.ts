import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { RelinkResult } from '#registry';
import type { FileStat } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import type { DigestRun, PassParts, PassReport } from './pass-parts.ts';
import { isWhole } from './whole.ts';

/** Copies of one digest that others are linked to: a name has at most some ten thousand links. */
const COPIES_MAX = 16;
/** Something is pushed or deleted at the same moment; the next pass has another try. */
const ATTEMPTS_MAX = 3;

/** One file of the digest that holders are linked to. */
interface Copy {
  readonly repo: RepoName;
  fingerprint: string;
  /** Its bytes have the digest. */
  proven: boolean;
  /** It cannot have more names. */
  full: boolean;
  synced: boolean;
}

/**
 * Links the holders of one digest to one of them. Nothing is linked to before its bytes were found to have the
 * digest, and nothing is replaced before its own were read: a damaged one is reported, and mended by the link.
 * Holders that share their bytes already cost a look at each, and no reading.
 */
export class LinkRun implements DigestRun {
  readonly #digest: Digest;
  readonly #parts: PassParts;
  readonly #context: TaskContext;
  readonly #report: PassReport;
  readonly #copies: Copy[] = [];
  #linked = 0;
  /** Files whose bytes do not have the digest, by fingerprint; as many as there are copies are remembered. */
  readonly #damaged = new Set<string>();

  constructor(digest: Digest, parts: PassParts, context: TaskContext, report: PassReport) {
    this.#digest = digest;
    this.#parts = parts;
    this.#context = context;
    this.#report = report;
  }

  async visit(repo: RepoName): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const stat = await this.#stat(repo);
      if (stat === null || this.#copies.some(({ fingerprint }) => fingerprint === stat.fingerprint)) return;
      if (this.#context.signal.aborted || (await this.#share(repo, stat))) return;
    }
    this.#report.failed += 1;
  }

  async end(): Promise<void> {
    if (this.#damaged.size > 0 && this.#copies.length > 0) await this.#mend();
    if (this.#linked === 0) return;
    const facts = { component: 'dedupe', digest: this.#digest, blobs: this.#linked };
    this.#parts.logger.debug(facts, 'deduping blobs for digest finished successfully');
  }

  /** Looks at all holders again, since names of a damaged file may have been taken for equals. */
  async #mend(): Promise<void> {
    const { index, storage, store } = this.#parts;
    for (
      let after: Parameters<typeof index.listHolders>[0]['after'] = { digest: this.#digest, repo: '' };
      ;
    ) {
      const page = await index.listHolders({ after, limit: 100 });
      for (const { digest, repo } of page) {
        if (digest !== this.#digest || repo === '' || this.#context.signal.aborted) return;
        if (storage.storeOf(repo) === store) await this.visit(repo);
        await this.#context.pause();
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  /** Files of repositories that hold the digest; what is about to be removed is none. */
  async #stat(repo: RepoName): Promise<FileStat | null> {
    const { storage, index } = this.#parts;
    const stat = await storage.repository(repo).statBlob(this.#digest);
    return stat === null || (await index.isTombstoned(repo, this.#digest)) ? null : stat;
  }

  /** Links a holder to one of the copies, or makes it one; gives whether that is done. */
  async #share(repo: RepoName, stat: FileStat): Promise<boolean> {
    let whole: boolean | null = null;
    for (const copy of this.#copies.slice()) {
      if (copy.full || !(await this.#prove(copy))) continue;
      whole ??= await this.#isWhole(repo, stat.fingerprint);
      if (whole === null) return true;
      const result = await this.#link(repo, stat, copy);
      if (result === 'changed') return false;
      if (result === 'refused') copy.full = true;
      else {
        this.#count(repo, stat, whole);
        return true;
      }
    }
    const { fingerprint } = stat;
    if (!this.#damaged.has(fingerprint) && this.#copies.length < COPIES_MAX) {
      this.#copies.push({ repo, fingerprint, proven: whole === true, full: false, synced: false });
    }
    return true;
  }

  async #link(repo: RepoName, stat: FileStat, copy: Copy): Promise<RelinkResult> {
    const result = await this.#parts.keeper.dedupe.relink({
      repo,
      digest: this.#digest,
      fingerprint: stat.fingerprint,
      from: copy,
      sourceIsDurable: copy.synced,
    });
    if (result !== 'refused') {
      // A link is a change of the file; and if somebody else changed it, it has to be looked at anew.
      const now = await this.#stat(copy.repo);
      if (result === 'changed' && now?.fingerprint !== copy.fingerprint) copy.proven = false;
      copy.synced = result === 'linked';
      copy.fingerprint = now?.fingerprint ?? '';
    }
    if (copy.fingerprint === '') this.#copies.splice(this.#copies.indexOf(copy), 1);
    return result;
  }

  /** Whether a copy may be linked to; one that is damaged or gone is forgotten. */
  async #prove(copy: Copy): Promise<boolean> {
    if (copy.proven) return true;
    const before = await this.#stat(copy.repo);
    copy.proven = before !== null && (await this.#isWhole(copy.repo, before.fingerprint)) === true;
    if (copy.proven && before !== null) copy.fingerprint = before.fingerprint;
    else this.#copies.splice(this.#copies.indexOf(copy), 1);
    return copy.proven;
  }

  async #isWhole(repo: RepoName, fingerprint: string): Promise<boolean | null> {
    if (this.#damaged.has(fingerprint)) return false;
    const whole = await isWhole(this.#parts.storage.repository(repo), this.#digest, this.#context);
    if (whole !== false) return whole;
    if (this.#damaged.size < COPIES_MAX) this.#damaged.add(fingerprint);
    const facts = { component: 'dedupe', repository: repo, digest: this.#digest };
    this.#parts.logger.warn(facts, 'the blob is damaged: its bytes do not have its digest');
    this.#report.damaged += 1;
    return false;
  }

  #count(repo: RepoName, stat: FileStat, whole: boolean): void {
    this.#linked += 1;
    this.#report.linked += 1;
    if (stat.names === undefined || stat.names === 1) this.#report.savedBytes += stat.sizeBytes;
    if (whole) return;
    this.#report.mended += 1;
    const facts = { component: 'dedupe', repository: repo, digest: this.#digest };
    this.#parts.logger.warn(facts, 'the damaged blob was replaced by a whole copy of another repository');
  }
}
