import { rm } from 'node:fs/promises';
import process from 'node:process';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';
import { searchTraces } from '../test/support/secrets/search.ts';

/**
 * The reporter of `npm test`: node's own, then why each skipped test was skipped, then one closing line that counts
 * everything. A run without a single test fails: a pattern that finds no file must not look green. A run that kept
 * its traces ends with a search of them: no server may have written or answered with a secret that any test used.
 */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const skipped: string[] = [];
  let counts: Counts | null = null;
  async function* watched(): AsyncGenerator<TestEvent> {
    for await (const event of source) {
      if (event.type === 'test:pass' && event.data.skip !== undefined && event.data.skip !== false) {
        const reason = event.data.skip === true ? 'no reason given' : event.data.skip;
        skipped.push(`skipped: ${event.data.name}: ${reason}\n`);
      }
      // The summary of a file names the file; the one of the whole run does not.
      if (event.type === 'test:summary' && event.data.file === undefined) counts = event.data.counts;
      yield event;
    }
  }
  for await (const chunk of Readable.from(watched()).compose(new spec())) yield String(chunk);
  yield* skipped;
  const isOwner = process.env['ZOT_TEST_TRACES_OWNER'] === String(process.pid);
  const search = isOwner ? await searchForSecrets(process.env['ZOT_TEST_TRACES'] ?? '') : null;
  if (search !== null) yield search.text;
  yield closingLine(counts, search);
}

interface Search {
  readonly text: string;
  readonly passed: boolean;
}

async function searchForSecrets(folder: string): Promise<Search> {
  const startMs = performance.now();
  const { secrets, searchedBytes, found } = await searchTraces(folder);
  await rm(folder, { recursive: true, force: true });
  const passed = found.length === 0;
  if (!passed) process.exitCode = 1;
  const mebibytes = (searchedBytes / 1024 / 1024).toFixed(1);
  const elapsedMs = Math.round(performance.now() - startMs);
  const what = `${secrets} secrets that tests used, in ${mebibytes} MiB of logs and answers (${elapsedMs} ms)`;
  const places = found.map((place) => `  ${place}\n`).join('');
  return { text: `\nlooked for ${what}: ${passed ? 'none found' : 'FOUND'}\n${places}`, passed };
}

interface Counts {
  readonly tests: number;
  readonly passed: number;
  readonly skipped: number;
  readonly cancelled: number;
}

function closingLine(counts: Counts | null, search: Search | null): string {
  if (counts === null || counts.tests === 0) {
    process.exitCode = 1;
    return '\nno test was run\n0 passed, 1 failed\n';
  }
  const { skipped } = counts;
  const tests = counts.tests + (search === null ? 0 : 1);
  const passed = counts.passed + (search?.passed === true ? 1 : 0);
  return `\n${passed} passed, ${tests - passed - skipped} failed, ${skipped} skipped\n`;
}
