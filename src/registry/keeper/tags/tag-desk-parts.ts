import type { History, IndexWriter } from '#metadata';
import type { Storage } from '#storage';
import type { Changes } from '../changes.ts';
import type { TagHistory } from './tag-history.ts';

/** What the desk of tags works with. */
export interface TagDeskParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
  readonly history: History;
  readonly tagHistory: TagHistory;
  readonly changes: Changes;
  /** The wall clock, milliseconds since the epoch. */
  readonly nowMs: () => number;
}
