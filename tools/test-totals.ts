import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';

/**
 * The reporter of `npm test`: node's own, then why each skipped test was skipped, then one closing line that counts
 * everything. A run without a single test fails: a pattern that finds no file must not look green.
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
  yield closingLine(counts);
}

interface Counts {
  readonly tests: number;
  readonly passed: number;
  readonly skipped: number;
  readonly cancelled: number;
}

function closingLine(counts: Counts | null): string {
  if (counts === null || counts.tests === 0) {
    process.exitCode = 1;
    return '\nno test was run\n0 passed, 1 failed\n';
  }
  const { tests, passed, skipped } = counts;
  return `\n${passed} passed, ${tests - passed - skipped} failed, ${skipped} skipped\n`;
}
