import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { OWN_FOLDER } from '#storage';
import type { Store } from '#storage';
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

const PATH = `${OWN_FOLDER}/scrub.json`;
const STAGING_PATH = `${OWN_FOLDER}/.stage-scrub`;
const SIZE_BYTES_MAX = 16 * 1024;

export function freshState(startedMs: number): ScrubState {
  return { startedMs, finishedMs: null, repo: '', after: '', counts: emptyCounts() };
}

/** It is kept in the store that it is about. `null` when there is none that can be used. */
export async function readScrubState({ driver }: Store): Promise<ScrubState | null> {
  const bytes = await driver.read(PATH, SIZE_BYTES_MAX);
  return bytes === null ? null : parseState(bytes.toString());
}

/** Not durable: a pass that forgets some of its way looks at that again. */
export async function writeScrubState({ driver }: Store, state: ScrubState): Promise<void> {
  await driver.delete(STAGING_PATH, { durable: false });
  await driver.put(PATH, [Buffer.from(JSON.stringify(state))], { durable: false, stagingPath: STAGING_PATH });
}

function parseState(text: string): ScrubState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Torn by a power cut, or edited: as if it were not there.
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { startedMs, finishedMs, repo, after, counts } = value as Record<string, unknown>;
  if (typeof startedMs !== 'number' || !(typeof finishedMs === 'number' || finishedMs === null)) return null;
  const isKnown = typeof repo === 'string' && isRepoName(repo);
  if (!isKnown) return { ...freshState(startedMs), finishedMs, counts: readCounts(counts) };
  const place = typeof after === 'string' && isDigest(after) ? after : after === null ? null : '';
  return { startedMs, finishedMs, repo, after: place, counts: readCounts(counts) };
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
