/** The harness against real servers, in turns so short that their figures mean nothing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { TINY_CROWD, duplicatesIn } from './fixtures/crowd.ts';
import type { Row } from './results.ts';
import { hasDistribution } from './subjects/distribution.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const SHORT = ['--quick', '--rounds', '1', '--seconds', '0.05'];

/** Runs the bench and gives the rows and the printed text; rejects when it ends with an error. */
async function bench(...args: string[]): Promise<{ rows: Row[]; text: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-test-'));
  try {
    const jsonPath = join(folder, 'rows.json');
    const argv = [MAIN, ...SHORT, '--json', jsonPath, '--work', folder, ...args];
    const run = promisify(execFile)(process.execPath, argv, { timeout: 120_000 });
    // What broke is told on the standard output, which the error of a failed command does not show.
    const { stdout } = await run.catch((error: Error & { stdout?: string }) => {
      throw new Error(`${error.message}\n${error.stdout ?? ''}`, { cause: error });
    });
    const { rows } = JSON.parse(readFileSync(jsonPath, 'utf8')) as { rows: Row[] };
    return { rows, text: stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('reads, writes and starts are measured without a failure', { timeout: 150_000 }, async () => {
  const scenarios = ['manifest-get', 'blob-push-4k', 'small-image-push', 'start-empty'];
  const { rows } = await bench('--workers', '1', ...scenarios.flatMap((name) => ['--scenario', name]));
  for (const row of rows) {
    assert.equal(row.failures, 0, `${row.scenario}, ${row.case}, ${row.subject}: ${row.firstFailure}`);
    assert.ok(row.ops > 0 && row.medianMs > 0 && row.opsPerSecond > 0);
    assert.ok((row.peakRssBytes ?? 0) > 10_000_000, 'memory was measured');
  }
  assert.ok(rows.some(({ subject }) => subject === 'zot commit=true'));
  assert.equal(
    rows.some(({ subject }) => subject === 'docker-registry'),
    hasDistribution(),
  );
});

test('background work is measured beside pulls, and by itself', { timeout: 150_000 }, async () => {
  const scenarios = ['pulls-beside', 'dedupe-pass'];
  const { rows, text } = await bench(
    '--subject',
    'zot',
    '--workers',
    '1',
    ...scenarios.flatMap((name) => ['--scenario', name]),
  );
  assert.ok(rows.every(({ failures, ops }) => failures === 0 && ops > 0));
  const linked = duplicatesIn(TINY_CROWD);
  assert.match(text, new RegExp(`first: ${linked} blobs linked`));
  assert.match(text, /again: 0 blobs linked/);
});

test('help and list teach without running anything', async () => {
  const { stdout: help } = await promisify(execFile)(process.execPath, [MAIN, '--help']);
  assert.match(help, /--against <url>/);
  const { stdout: list } = await promisify(execFile)(process.execPath, [MAIN, '--list']);
  assert.match(list, /^manifest-get /m);
  await assert.rejects(promisify(execFile)(process.execPath, [MAIN, '--scenario', 'x']), /see --list/);
});
