import { UPLOADS, WHOLE_REPOSITORY } from '#metadata';
import type { CandidateRow } from '#metadata';

/**
 * So many are dealt with together: what they change in one repository is one change of it, and they are done within a
 * slice of background work.
 */
export const TOGETHER = 16;

/** Candidates in their order, those of blobs and manifests together; what stands for more than itself is alone. */
export function groupsOf(page: readonly CandidateRow[]): CandidateRow[][] {
  const groups: CandidateRow[][] = [];
  let open: CandidateRow[] | null = null;
  for (const candidate of page) {
    const isAlone = candidate.what === UPLOADS || candidate.what === WHOLE_REPOSITORY;
    if (!isAlone && open !== null && open.length < TOGETHER) open.push(candidate);
    else groups.push((open = [candidate]));
    if (isAlone) open = null;
  }
  return groups;
}

/** Rows in their order, so many together. */
export function* chunksOf<Row>(rows: readonly Row[]): Generator<Row[]> {
  for (let at = 0; at < rows.length; at += TOGETHER) yield rows.slice(at, at + TOGETHER);
}
