import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SecretSearch, searchTraces } from './search.ts';

const PASSWORD = 'p"ss word/of alice';
const HEAD = 'eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ.';
const TOKEN = `${HEAD}${Array.from({ length: 8 }, (_, at) => (at + 100) * 7919).join('.')}`;

const foundIn = (text: string): readonly string[] => {
  const search = new SecretSearch([PASSWORD, TOKEN]);
  search.look(Buffer.from(text), 0);
  return search.found;
};

describe('the search for secrets', () => {
  it('finds each form in which one may be written down', () => {
    for (const form of [
      PASSWORD,
      encodeURIComponent(PASSWORD),
      JSON.stringify({ x: PASSWORD }),
      `a ${TOKEN} b`,
    ])
      assert.equal(foundIn(`{"path":"/v2/","note":${form}}`).length, 1, form);
  });

  it('shows what stands around it, and never the secret', () => {
    const [shown = ''] = foundIn(`line before\n{"password":"${TOKEN}","after":1}`);
    assert.match(shown, /^line before \/ \{"password":".*<secret of \d+ bytes>","after":1\}$/);
    assert.ok(!shown.includes(TOKEN.slice(-64)));
  });

  it('takes neither the beginning that all tokens share for one, nor a masked one', () => {
    assert.deepEqual(foundIn(`${HEAD}... ****** p"ss`), []);
  });

  it('reads the traces of many processes, also across the parts in which a file is read', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'zot-search-'));
    try {
      await writeFile(path.join(folder, 'secrets-1'), `${JSON.stringify(PASSWORD)}\n`);
      await writeFile(
        path.join(folder, 'secrets-2'),
        `${JSON.stringify(TOKEN)}\n${JSON.stringify(PASSWORD)}\n`,
      );
      const filler = 'x'.repeat(4 * 1024 * 1024 - 9);
      await writeFile(path.join(folder, 'output-1'), `${filler}${PASSWORD}${filler}${PASSWORD}`);
      await writeFile(path.join(folder, 'output-2'), 'nothing\n');
      const { secrets, searchedBytes, found } = await searchTraces(folder);
      assert.equal(secrets, 2);
      assert.equal(searchedBytes, 2 * (filler.length + PASSWORD.length) + 8);
      assert.equal(found.length, 2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

it('what ends in the filling of a test is no pattern', () => {
  const search = new SecretSearch([`Zm9v${'A'.repeat(200)}`]);
  search.look(Buffer.from(`/blobs/sha256:${'A'.repeat(64)}`), 0);
  assert.deepEqual(search.found, []);
});
