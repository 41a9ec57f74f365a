import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { configurationPage, pageFile } from '../../tools/docs-configuration.ts';

it('docs/configuration.md says what the declarations say', () => {
  const written = readFileSync(pageFile, 'utf8');
  assert.equal(written, configurationPage(), 'the page is stale: run `node tools/docs-configuration.ts`');
});
