import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { Store } from '#storage';
import { StoreNote } from '../store-note.ts';
import { emptyCounts } from './scrub-parts.ts';
import type { ScrubCounts } from './scrub-parts.ts';

/** How far a pass is. Losing it costs the time to read again. */
export interface ScrubState {
  readonly startedMs: number;
  /** When the pass came to its end; `null`: it is under way. */
  readonly finishedMs: number | null;
  /** The repository that was looked at last; '' is the beginning. */
  readonly repo: RepoName | '';
  /** The content of it that was looked at last; `null`: all of it is done. */
  readonly after: Digest | '' | null;
  readonly counts: ScrubCounts;
}

const note = new StoreNote('scrub');

export function freshState(startedMs: number): ScrubState {
  return { startedMs, finishedMs: null, repo: '', after: '', counts: emptyCounts() };
}

/** `null` when there is none that can be used. */
export async function readScrubState(store: Store): Promise<ScrubState | null> {
  const { startedMs, finishedMs, repo, after, counts } = (await note.read(store)) ?? {};
  if (typeof startedMs !== 'number' || !(typeof finishedMs === 'number' || finishedMs === null)) return null;
  const isKnown = typeof repo === 'string' && isRepoName(repo);
  if (!isKnown) return { ...freshState(startedMs), finishedMs, counts: readCounts(counts) };
  const place = typeof after === 'string' && isDigest(after) ? after : after === null ? null : '';
  return { startedMs, finishedMs, repo, after: place, counts: readCounts(counts) };
}

/** Not durable: a pass that forgets some of its way looks at that again. */
export function writeScrubState(store: Store, state: ScrubState): Promise<void> {
  return note.write(store, state, false);
}

function readCounts(value: unknown): ScrubCounts {
  const counts = emptyCounts();
  if (typeof value !== 'object' || value === null) return counts;
  const given = value as Record<string, unknown>;
  for (const name of Object.keys(counts) as (keyof ScrubCounts)[]) {
    const count = given[name];
    if (typeof count === 'number' && Number.isSafeInteger(count)) counts[name] = count;
  }
  return counts;
}
