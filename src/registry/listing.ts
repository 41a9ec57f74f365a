import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IndexReader, ReferrerRow } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Freshness } from './freshness.ts';

export interface TagsPage {
  readonly tags: readonly Tag[];
  /** Whether more follow. */
  readonly more: boolean;
}

export interface ReferrersPage {
  readonly referrers: readonly ReferrerRow[];
  readonly more: boolean;
}

export interface ListingParts {
  readonly index: IndexReader;
  readonly freshness: Freshness;
}

/** An answer without `n` still is one page, as long as this: more than any client keeps in view. */
const PAGE_MAX = 100_000;
/** Bounds of a page of referrers: clients read at most 4 MiB of a manifest. */
const REFERRERS_PAGE_BYTES_MAX = 3_500_000;
const REFERRERS_STEP = 500;
const CATALOG_STEP = 1000;

/** Lists: tags, repositories, referrers. A page costs the page, whatever stands before or behind it. */
export class Listing {
  #index: IndexReader;
  #freshness: Freshness;

  constructor(parts: ListingParts) {
    this.#index = parts.index;
    this.#freshness = parts.freshness;
  }

  /** Tags after `last` in byte order (distribution-spec, "Listing Tags"). Throws `NAME_UNKNOWN`. */
  async tags(repo: RepoName, page: { last: string; limit: number | null }): Promise<TagsPage> {
    await this.requireRepository(repo);
    const limit = Math.min(page.limit ?? PAGE_MAX, PAGE_MAX);
    if (limit === 0) return { tags: [], more: false };
    const tags = await this.#index.listTags(repo, { after: page.last, limit: limit + 1 });
    return { tags: tags.slice(0, limit), more: tags.length > limit };
  }

  /** Repositories after `last` in byte order, of those that `visible` lets through. */
  async repositories(
    page: { last: string; limit: number | null },
    visible: (repo: RepoName) => boolean,
  ): Promise<{ repositories: RepoName[]; more: boolean }> {
    const limit = Math.min(page.limit ?? PAGE_MAX, PAGE_MAX);
    const repositories: RepoName[] = [];
    let stepMax = Math.min(CATALOG_STEP, limit + 1);
    for (let after = page.last; limit > 0;) {
      const step = await this.#index.listRepositories({ after, limit: stepMax });
      for (const repo of step) {
        if (!visible(repo)) continue;
        if (repositories.length === limit) return { repositories, more: true };
        repositories.push(repo);
      }
      const last = step.at(-1);
      if (last === undefined || step.length < stepMax) break;
      after = last;
      // What the caller may not see can be nearly everything: not in steps of a small page, and not in one turn.
      stepMax = CATALOG_STEP;
      await nextTurn();
    }
    return { repositories, more: false };
  }

  /**
   * Manifests whose subject is `subject`, after `last` in digest order (distribution-spec, "Listing Referrers").
   * A repository or subject that does not exist has none.
   */
  async referrers(
    repo: RepoName,
    subject: Digest,
    options: { artifactTypes: readonly string[]; last: string },
  ): Promise<ReferrersPage> {
    if (!this.#freshness.isFresh(repo)) await this.#freshness.check(repo);
    const referrers: ReferrerRow[] = [];
    let sizeBytes = 0;
    for (let after = options.last; ;) {
      const { artifactTypes } = options;
      const step = await this.#index.listReferrers(repo, subject, {
        after,
        limit: REFERRERS_STEP,
        artifactTypes,
        // Of 500 rows each may be as large as a manifest: no more is read than fits.
        bytesMax: Math.max(0, REFERRERS_PAGE_BYTES_MAX - sizeBytes),
      });
      for (const row of step) {
        sizeBytes += entrySizeBytes(row);
        if (sizeBytes > REFERRERS_PAGE_BYTES_MAX && referrers.length > 0) return { referrers, more: true };
        referrers.push(row);
      }
      const last = step.at(-1);
      const wasCutShort = sizeBytes > REFERRERS_PAGE_BYTES_MAX;
      if (last === undefined || (step.length < REFERRERS_STEP && !wasCutShort))
        return { referrers, more: false };
      after = last.digest;
    }
  }

  /** Throws `NAME_UNKNOWN` unless there is such a repository. */
  async requireRepository(repo: RepoName): Promise<void> {
    if (!this.#freshness.isFresh(repo)) await this.#freshness.check(repo);
    if ((await this.#index.findRepository(repo)) === null) {
      throw new RegistryError('NAME_UNKNOWN', { detail: { name: repo } });
    }
  }
}

/** An estimate from above of what a row takes in the answer. */
function entrySizeBytes(row: ReferrerRow): number {
  const annotations = row.annotations === null ? 0 : JSON.stringify(row.annotations).length;
  return 250 + row.mediaType.length + (row.artifactType?.length ?? 0) + annotations;
}
