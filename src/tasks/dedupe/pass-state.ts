import { OWN_FOLDER } from '#storage';
import type { Store } from '#storage';
import type { Digest } from '#oci/digest';
import { parseDigest } from '#oci/digest';

/** What a store's files are being made: shared where they are equal, or each for itself. */
export interface PassState {
  readonly mode: 'link' | 'restore';
  /** Where the pass under way has come to; '' is the beginning. Losing it costs the time to look again. */
  readonly after: Digest | '';
  readonly done: boolean;
}

const PATH = `${OWN_FOLDER}/dedupe.json`;
const STAGING_PATH = `${OWN_FOLDER}/.stage-dedupe`;
const SIZE_BYTES_MAX = 4096;

/**
 * It is kept in the store that it is about, so that it goes where the store goes. zot's marker `_restore_complete`
 * is left alone. `null` when equal blobs were never shared here, or nobody knows.
 */
export async function readPassState({ driver }: Store): Promise<PassState | null> {
  const bytes = await driver.read(PATH, SIZE_BYTES_MAX);
  return bytes === null ? null : parseState(bytes.toString());
}

/** `durable`: the mode must outlive a power cut; how far the pass is need not. */
export async function writePassState(store: Store, state: PassState, durable: boolean): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(state));
  await store.driver.delete(STAGING_PATH, { durable: false });
  await store.driver.put(PATH, [bytes], { durable: durable && store.durable, stagingPath: STAGING_PATH });
}

function parseState(text: string): PassState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Torn by a power cut, or edited: as if it were not there.
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { mode, after, done } = value as Record<string, unknown>;
  if (mode !== 'link' && mode !== 'restore') return null;
  return { mode, after: digestOrNothing(after), done: done === true };
}

function digestOrNothing(value: unknown): Digest | '' {
  try {
    return typeof value === 'string' && value !== '' ? parseDigest(value) : '';
  } catch {
    return '';
  }
}
