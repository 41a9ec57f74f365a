/** `--test-global-setup` of a run: makes the folder of its traces; the reporter searches it and removes it. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

export async function globalSetup(): Promise<void> {
  process.env['ZOT_TEST_TRACES'] = await mkdtemp(path.join(tmpdir(), 'zot-traces-'));
  // A run inside a test of this one must not take the traces for its own.
  process.env['ZOT_TEST_TRACES_OWNER'] = String(process.pid);
}
