/**
 * Keeps the counts of quotas true: counts prefixes that are new, compares counts with the files where they may differ,
 * and notes in the index which can be trusted after the next start.
 *
 * A quota is in force only when its prefix was compared with the files: at the start before the first request, on a
 * change of the configuration before that is taken over. Counts of a process that was killed are nearly right, by what
 * it had in hand; they stay in force and are compared beside the requests.
 */
import type { Prepared } from '#lib/prepared';
import type { RepoName } from '#oci/repo-name';
import { isUnder } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';
import { compareBlobs, forgetMissingUnder } from '../blobs/blob-census.ts';
import type { CensusParts } from '../blobs/blob-census.ts';
import type { QuotaDesk } from './quota-desk.ts';
import type { Quota, QuotaStatus } from './quota-ledger.ts';

export interface CountingParts extends CensusParts {
  readonly desk: QuotaDesk;
  /** Hears of folders that cannot be looked at. */
  readonly report: (path: string, error: unknown) => void;
}

export class QuotaCounting {
  #parts: CountingParts;
  #stopping = new AbortController();
  /** Prefixes whose counts are those of the files. */
  #exact = new Set<RepoPrefix>();
  /** Repositories that other tools changed, to be compared. */
  #changed = new Set<RepoName>();
  #work: Promise<void> = Promise.resolve();

  constructor(parts: CountingParts) {
    this.#parts = parts;
  }

  /**
   * Puts the quotas of a start in force; `null`: what was counted is counted on, without limits. Gives the prefixes
   * that are to be compared: those of `before` before anybody is served.
   */
  async open(inForce: readonly Quota[] | null): Promise<{ before: RepoPrefix[]; beside: RepoPrefix[] }> {
    const { index, desk } = this.#parts;
    const counted = (await index.listPrefixUsage()).map(({ prefix }) => ({ prefix, maxBytes: Infinity }));
    const quotas = inForce ?? counted;
    await index.setCountedPrefixes(quotas.map(({ prefix }) => prefix));
    const usage = await index.listPrefixUsage();
    const of = (certainty: string) =>
      usage.filter((row) => row.certainty === certainty).map((row) => row.prefix);
    this.#exact = new Set(of('compared'));
    if (this.#exact.size > 0) await index.setCertainty([...this.#exact], 'unsure');
    desk.setQuotas(quotas);
    return { before: of('new'), beside: of('unsure').filter((prefix) => !this.#exact.has(prefix)) };
  }

  /** How the quotas in force stand. */
  async status(): Promise<QuotaStatus[]> {
    const usage = new Map(
      (await this.#parts.index.listPrefixUsage()).map((row) => [row.prefix, row.usedBytes]),
    );
    const inForce = this.#parts.desk.quotas.filter(({ maxBytes }) => maxBytes < Infinity);
    return inForce.map(({ prefix, maxBytes }) => ({
      prefix,
      maxBytes,
      usedBytes: usage.get(prefix) ?? 0,
      reservedBytes: this.#parts.desk.reservedBytes(prefix),
      isExact: this.#exact.has(prefix),
    }));
  }

  /** Reserves what the uploads of a repository hold, as after a start. */
  restoreUploads(repo: RepoName): Promise<void> {
    return this.#parts.desk.restoreUploads(repo);
  }

  /** Compares counts beside the requests. */
  compareBeside(prefixes: readonly RepoPrefix[]): void {
    this.#work = this.#work
      .then(() => this.compare(prefixes))
      .catch((error: unknown) => this.#parts.report('', error));
  }

  /** Compares the counts of prefixes with all files below them. */
  async compare(prefixes: readonly RepoPrefix[]): Promise<void> {
    if (prefixes.length === 0) return;
    const { storage, desk } = this.#parts;
    // One that was counted before, and then was not for a while, is to be proven anew.
    for (const prefix of prefixes) this.#exact.delete(prefix);
    let failed = false;
    const report = (path: string, error: unknown): void => {
      failed = true;
      this.#parts.report(path, error);
    };
    for await (const { name } of storage.folders(report)) {
      if (this.#stopping.signal.aborted) return;
      if (!prefixes.some((prefix) => isUnder(name, prefix))) continue;
      await this.#reported(name, report, async () => {
        await compareBlobs(name, this.#parts, this.#stopping.signal);
        await desk.restoreUploads(name);
      });
    }
    for (const prefix of prefixes) await forgetMissingUnder(prefix, this.#parts, this.#stopping.signal);
    if (failed || this.#stopping.signal.aborted) return;
    for (const prefix of prefixes) this.#exact.add(prefix);
    await this.#parts.index.setCertainty(prefixes, 'unsure');
  }

  /** A repository was changed by another tool. */
  noteOutsideChange(repo: RepoName): void {
    if (!this.#parts.desk.covers(repo)) return;
    this.#changed.add(repo);
    if (this.#changed.size > 1) return;
    this.#work = this.#work.then(() => this.#compareChanged());
  }

  async #compareChanged(): Promise<void> {
    const { signal } = this.#stopping;
    for (const repo of this.#changed) {
      // Before it is looked at: what changes meanwhile has to be looked at again.
      this.#changed.delete(repo);
      if (signal.aborted) continue;
      await this.#reported(repo, this.#parts.report, () => compareBlobs(repo, this.#parts, signal));
    }
  }

  /** Settles when what other tools changed so far is counted. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** Counts for changed quotas before they are in force; those in force go on meanwhile. */
  async prepare(quotas: readonly Quota[]): Promise<Prepared> {
    const { index, desk } = this.#parts;
    const before = desk.quotas;
    const inForce = before.map(({ prefix }) => prefix);
    const wanted = quotas.map(({ prefix }) => prefix);
    const fresh = wanted.filter((prefix) => !inForce.includes(prefix));
    await index.setCountedPrefixes([...inForce, ...fresh]);
    // Without a limit they only count, what is promised to uploads too.
    desk.setQuotas([...before, ...fresh.map((prefix) => ({ prefix, maxBytes: Infinity }))]);
    const inForceAgain = async (): Promise<void> => {
      desk.setQuotas(before);
      await index.setCountedPrefixes(inForce);
    };
    try {
      await this.compare(fresh);
    } catch (error) {
      await inForceAgain();
      throw error;
    }
    return {
      commit: async () => {
        desk.setQuotas(quotas);
        await index.setCountedPrefixes(wanted);
      },
      discard: inForceAgain,
    };
  }

  /** Ends the comparisons, and notes which counts can be trusted. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    const exact = this.#parts.desk.quotas
      .map(({ prefix }) => prefix)
      .filter((prefix) => this.#exact.has(prefix));
    if (exact.length > 0) await this.#parts.index.setCertainty(exact, 'compared');
  }

  /** One repository that cannot be looked at does not end the look at the others. */
  async #reported(
    repo: RepoName,
    report: (path: string, error: unknown) => void,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      report(repo, error);
    }
  }
}
