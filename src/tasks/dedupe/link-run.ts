import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { RelinkResult } from '#registry';
import type { FileStat } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import { countDamaged } from './damaged-copies.ts';
import type { DigestRun, PassParts, PassReport } from './pass-parts.ts';
import { pauseOrStop } from './pass-stopped.ts';

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
 * digest, and nothing is replaced before its own were read. A damaged file is noted as such, which all its names then
 * are, and mended in the end from one that is whole. Holders that share their bytes already cost a look at each, and
 * no reading.
 */
export class LinkRun implements DigestRun {
  readonly #digest: Digest;
  readonly #parts: PassParts;
  readonly #context: TaskContext;
  readonly #report: PassReport;
  readonly #copies: Copy[] = [];
  #linked = 0;
  #metDamage = false;

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
    if (this.#metDamage) await this.#mend();
    if (this.#linked === 0) return;
    const facts = { component: 'dedupe', digest: this.#digest, blobs: this.#linked };
    this.#parts.logger.debug(facts, 'deduping blobs for digest finished successfully');
  }

  async #mend(): Promise<void> {
    const { keeper, index } = this.#parts;
    const before = await countDamaged(index, this.#digest);
    this.#report.damaged += before;
    for (const copy of this.#copies.slice()) {
      if (!(await this.#prove(copy))) continue;
      await keeper.damage.mendOthers(copy.repo, this.#digest, () => pauseOrStop(this.#context));
      break;
    }
    this.#report.mended += Math.max(0, before - (await countDamaged(index, this.#digest)));
  }

  /** The file of a holder; `null` where there is none, or one that is about to be removed or known to be damaged. */
  async #stat(repo: RepoName): Promise<FileStat | null> {
    const { storage, index } = this.#parts;
    const stat = await storage.repository(repo).statBlob(this.#digest);
    const why = stat === null ? null : await index.whyAbsent(repo, this.#digest);
    if (why === 'damaged') this.#metDamage = true;
    return why === null ? stat : null;
  }

  /** Links a holder to one of the copies, or makes it one; gives whether that is done. */
  async #share(repo: RepoName, stat: FileStat): Promise<boolean> {
    let isWhole = false;
    for (const copy of this.#copies.slice()) {
      if (copy.full || !(await this.#prove(copy))) continue;
      isWhole ||= await this.#isWhole(repo);
      if (!isWhole) return true;
      const result = await this.#link(repo, stat, copy);
      if (result === 'changed') return false;
      if (result === 'linked') {
        this.#count(stat);
        return true;
      }
      copy.full = true;
    }
    const { fingerprint } = stat;
    if (this.#copies.length < COPIES_MAX)
      this.#copies.push({ repo, fingerprint, proven: isWhole, full: false, synced: false });
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
    if (copy.fingerprint === '') this.#forget(copy);
    return result;
  }

  /** Whether a copy may be linked to; one that is damaged or gone is forgotten. */
  async #prove(copy: Copy): Promise<boolean> {
    if (copy.proven) return true;
    const before = await this.#stat(copy.repo);
    copy.proven = before !== null && (await this.#isWhole(copy.repo));
    if (copy.proven && before !== null) copy.fingerprint = before.fingerprint;
    else this.#forget(copy);
    return copy.proven;
  }

  #forget(copy: Copy): void {
    this.#copies.splice(this.#copies.indexOf(copy), 1);
  }

  /** Whether the bytes of a holder have the digest; those that have not are noted as damaged, with all their names. */
  async #isWhole(repo: RepoName): Promise<boolean> {
    const pacer = (): Promise<void> => pauseOrStop(this.#context);
    const verdict = await this.#parts.keeper.damage.examine(repo, this.#digest, pacer);
    if (verdict === 'damaged') this.#metDamage = true;
    return verdict === 'sound';
  }

  #count(stat: FileStat): void {
    this.#linked += 1;
    this.#report.linked += 1;
    if (stat.names === undefined || stat.names === 1) this.#report.savedBytes += stat.sizeBytes;
  }
}
