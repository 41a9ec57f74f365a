import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { projectRoot } from '../../support/server.ts';

const run = promisify(execFile);
const CHECK_TIMEOUT_MS = 60_000;

/** Runs `zot check --deep` over a folder that no server has open; gives what it found. */
export async function checkFolder(root: string): Promise<string[]> {
  if (!existsSync(join(projectRoot, 'src/cli/check.ts'))) return [];
  try {
    await run(process.execPath, [join(projectRoot, 'src/bin/zot.ts'), 'check', root, '--deep'], {
      timeout: CHECK_TIMEOUT_MS,
    });
    return [];
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    return [`zot check: ${String(error)}\n${output}`];
  }
}
