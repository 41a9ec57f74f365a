import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { errorsPage, pageFile } from '../../tools/docs-errors.ts';
import { projectRoot } from '../support/server.ts';

test('docs/errors.md says what the table of errors says', async () => {
  const written = await readFile(pageFile, 'utf8');
  assert.equal(written, errorsPage(), 'the page is stale: run `node tools/docs-errors.ts`');
});

test('every difference from zot in docs/compatibility.md names a test that exists', async () => {
  const page = await readFile(path.join(projectRoot, 'docs/compatibility.md'), 'utf8');
  const titles = await allTitles();
  const rows = page
    .split('\n')
    .filter((line) => /^\| (?!--|What |Area )/.test(line) && !line.startsWith('|---'));
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const [file = '', title = ''] = (/`([^`]+\.test\.ts)`: (.+?) \|$/.exec(row) ?? []).slice(1);
    assert.ok(
      titles.get(file)?.some((known) => known.includes(title)),
      `no such test: ${row}`,
    );
  }
});

test('every promise and every line of the list in docs/reliability.md names a test that exists', async () => {
  const page = await readFile(path.join(projectRoot, 'docs/reliability.md'), 'utf8');
  const titles = await allTitles();
  const proofs = [...page.matchAll(/`([^`]+\.test\.ts)`: (.+?) \|$/gm)];
  for (const [row, file = '', title = ''] of proofs) {
    const known = titles.get(file)?.some((one) => one.includes(title));
    assert.equal(known, true, `no such test: ${row}`);
  }
  const rows = page.split('\n').filter((line) => /^\| (?:[CR]\d|\| \|)/.test(line));
  assert.equal(proofs.length, rows.length, 'a row names no test');
  for (let promise = 1; promise <= 9; promise += 1)
    assert.ok(page.includes(`| C${promise} |`), `C${promise}`);
  for (let line = 1; line <= 26; line += 1) assert.match(page, new RegExp(`\\bR${line}\\b`));
});

test('every difference in docs/access.md names a test that exists', async () => {
  const page = await readFile(path.join(projectRoot, 'docs/access.md'), 'utf8');
  const titles = await allTitles();
  const proofs = [...page.matchAll(/`([^`]+\.test\.ts)`: (.+?) \|$/gm)];
  assert.ok(proofs.length > 10);
  for (const [row, file = '', title = ''] of proofs) {
    const known = titles.get(file)?.some((one) => one.includes(title));
    assert.equal(known, true, `no such test: ${row}`);
  }
});

/** The titles of all tests, by file from the top of the project. */
async function allTitles(): Promise<Map<string, string[]>> {
  const titles = new Map<string, string[]>();
  for (const folder of ['src', 'test', 'tools']) {
    for (const name of await readdir(path.join(projectRoot, folder), { recursive: true })) {
      if (!name.endsWith('.test.ts')) continue;
      const text = await readFile(path.join(projectRoot, folder, name), 'utf8');
      const found = [...text.matchAll(/\b(?:test|it)\(\s*(['"`])(.*?)\1/gs)].map(([, , title = '']) => title);
      titles.set(`${folder}/${name}`, found);
    }
  }
  return titles;
}
