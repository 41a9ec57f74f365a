import type { GoneTag, Hold } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import type { LocalKeeper } from '#registry';
import type { SweepClock } from '../gc/sweep-clock.ts';
import type { TaskContext } from '../scheduler.ts';

export interface UndoParts {
  readonly keeper: LocalKeeper;
  /** The one that collection goes by, so that both see the same time. */
  readonly clock: SweepClock;
}

export interface UndoReport {
  /** Holds that ended: what only they kept is garbage now. */
  holds: number;
  /** Tags that are gone for longer than they can be restored, with their history. */
  tags: number;
}

const PAGE = 200;

/**
 * Ends the holds, and the histories of tags that are gone, whose time is over. Costs what is over; with `everything`
 * also what is held in stores whose undo was switched off. To be called after `clock.correct`.
 */
export async function endUndo(
  { keeper, clock }: UndoParts,
  context: TaskContext,
  everything = false,
): Promise<UndoReport> {
  const { tags } = keeper;
  const { rules } = tags;
  const report: UndoReport = { holds: 0, tags: 0 };
  const nowMs = clock.nowMs();
  if (rules.shortestUndoMs === null && !everything) return report;
  const beforeMs = everything ? nowMs : nowMs - (rules.shortestUndoMs ?? 0);
  const isOver = (row: { readonly repo: RepoName; readonly sinceMs: number }): boolean =>
    row.sinceMs <= nowMs - rules.undoMs(row.repo);
  const each = async <Row extends { readonly repo: RepoName; readonly sinceMs: number }>(
    list: (after: Row | null) => Promise<Row[]>,
    end: (row: Row) => Promise<void>,
  ): Promise<void> => {
    for (let page = await list(null); page.length > 0; page = await list(page.at(-1) ?? null)) {
      for (const row of page) {
        if (context.signal.aborted) return;
        if (isOver(row)) await end(row);
        await context.pause();
      }
    }
  };
  await each<Hold>(
    (after) => tags.listHolds({ beforeMs, after, limit: PAGE }),
    async (hold) => {
      await tags.release(hold);
      report.holds += 1;
    },
  );
  await each<GoneTag>(
    (after) => tags.listGone({ beforeMs, after, limit: PAGE }),
    async (gone) => {
      await tags.forgetTag(gone);
      report.tags += 1;
    },
  );
  return report;
}
