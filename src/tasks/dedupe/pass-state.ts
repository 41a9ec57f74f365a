import type { Store } from '#storage';
import type { Digest } from '#oci/digest';
import { parseDigest } from '#oci/digest';
import { StoreNote } from '../store-note.ts';

/** What a store's files are being made: shared where they are equal, or each for itself. */
export interface PassState {
  readonly mode: 'link' | 'restore';
  /** Where the pass under way has come to; '' is the beginning. Losing it costs the time to look again. */
  readonly after: Digest | '';
  readonly done: boolean;
}

const note = new StoreNote('dedupe');

/** zot's marker `_restore_complete` is left alone. `null` when equal blobs were never shared here, or nobody knows. */
export async function readPassState(store: Store): Promise<PassState | null> {
  const { mode, after, done } = (await note.read(store)) ?? {};
  if (mode !== 'link' && mode !== 'restore') return null;
  return { mode, after: digestOrNothing(after), done: done === true };
}

/** `durable`: the mode must outlive a power cut; how far the pass is need not. */
export function writePassState(store: Store, state: PassState, durable: boolean): Promise<void> {
  return note.write(store, state, durable && store.durable);
}

function digestOrNothing(value: unknown): Digest | '' {
  try {
    return typeof value === 'string' && value !== '' ? parseDigest(value) : '';
  } catch {
    return '';
  }
}
