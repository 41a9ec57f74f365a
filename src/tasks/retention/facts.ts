import type { EntryRow, IndexWriter, Records } from '#metadata';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Storage, Store } from '#storage';
import type { TaskContext } from '../scheduler.ts';
import type { Facts } from './rules.ts';

export interface FactParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly records: Records;
}

export interface TagFacts extends Facts {
  readonly name: Tag;
  readonly digest: Digest;
  readonly mediaType: string;
  /** How often its manifest was pulled. */
  readonly pulls: number;
}

const PAGE = 500;
const REPOSITORIES_PAGE = 200;

/**
 * Tags by which clients without the referrers API find what is about a manifest (distribution-spec, "Referrers Tag
 * Schema"). They are no images, and zot knows no times of them.
 */
const REFERRERS_TAG = /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})$/;

/**
 * What is known of a manifest. One that was stored before its pushes were recorded, or by another tool, counts as
 * pushed when its file was written (zot). `null` as the time of its push: it is not there.
 */
export async function factsOf<Name extends string>(
  parts: FactParts,
  repo: RepoName,
  manifest: { readonly name: Name; readonly digest: Digest },
): Promise<Facts & { readonly name: Name; readonly pulls: number }> {
  const { name, digest } = manifest;
  const { firstPushMs, lastPullMs, pulls } = await parts.records.statistics(repo, digest);
  const allPullsKnown = firstPushMs !== null;
  const pushedMs = firstPushMs ?? (await parts.storage.repository(repo).statBlob(digest))?.modifiedMs ?? null;
  return { name, pushedMs, pulledMs: lastPullMs, allPullsKnown, pulls };
}

/** Every tag of a repository with what is known of it. One that two descriptors claim is the first one's. */
export async function* tagsOf(
  parts: FactParts,
  repo: RepoName,
  context: TaskContext,
): AsyncGenerator<TagFacts> {
  const seen = new Set<Tag>();
  for await (const { tag, digest, json } of entriesOf(parts.index, repo, context)) {
    if (tag === null || seen.has(tag)) continue;
    seen.add(tag);
    const { mediaType } = JSON.parse(json) as { mediaType?: unknown };
    const facts = REFERRERS_TAG.test(tag)
      ? { name: tag, pushedMs: null, pulledMs: null, allPullsKnown: true, pulls: 0 }
      : await factsOf(parts, repo, { name: tag, digest });
    yield { ...facts, digest, mediaType: typeof mediaType === 'string' ? mediaType : '' };
  }
}

/** The repositories of a store; ends early when the scheduler stops. */
export async function* repositoriesOf(
  { index, storage, store }: Pick<FactParts, 'index' | 'storage'> & { readonly store: Store },
  context: TaskContext,
): AsyncGenerator<RepoName> {
  for (let after = ''; ;) {
    const page = await index.listRepositories({ after, limit: REPOSITORIES_PAGE });
    for (const repo of page) {
      if (context.signal.aborted) return;
      if (storage.storeOf(repo) === store) yield repo;
      await context.pause();
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

/** The descriptors of a repository, page by page; ends early when the scheduler stops. */
export async function* entriesOf(
  index: IndexWriter,
  repo: RepoName,
  context: TaskContext,
): AsyncGenerator<EntryRow> {
  for (let afterPosition = -1; ;) {
    const page = await index.listEntries(repo, { afterPosition, limit: PAGE });
    for (const entry of page) {
      yield entry;
      await context.pause();
    }
    const last = page.at(-1);
    if (last === undefined || context.signal.aborted) return;
    afterPosition = last.position;
  }
}
