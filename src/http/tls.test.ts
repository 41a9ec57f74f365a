import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { TlsFiles } from './tls.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'zot-tls-files-'));
});
after(() => rm(folder, { recursive: true }));

const paths = () => ({ cert: path.join(folder, 'cert'), key: path.join(folder, 'key'), ca: '' });

async function openFiles(problems: string[] = []): Promise<TlsFiles> {
  await writeFile(paths().cert, 'cert 1');
  await writeFile(paths().key, 'key 1');
  return new TlsFiles(paths(), (problem) => problems.push(problem));
}

test('files that are missing at the start are an error', () => {
  assert.throws(
    () => new TlsFiles({ ...paths(), cert: path.join(folder, 'absent') }, () => undefined),
    /ENOENT/,
  );
});

test('a change is handed on once, with all files read again', async () => {
  const files = await openFiles();
  const seen: string[] = [];
  files.onChange(({ cert, key }) => seen.push(`${cert.toString()}, ${key.toString()}`));
  files.check();
  assert.deepEqual(seen, []);
  await writeFile(paths().cert, 'cert 2');
  files.check();
  files.check();
  assert.deepEqual(seen, ['cert 2, key 1']);
  assert.equal(files.current().cert.toString(), 'cert 2');
  files.close();
});

test('a pair that is refused is reported, and the old one stays until the files change again', async () => {
  const problems: string[] = [];
  const files = await openFiles(problems);
  files.onChange(({ key }) => {
    if (key.toString() === 'bad') throw new Error('key values mismatch');
  });
  await writeFile(paths().key, 'bad');
  files.check();
  files.check();
  assert.deepEqual(problems, ['key values mismatch']);
  assert.equal(files.current().key.toString(), 'key 1');
  await rm(paths().key);
  files.check();
  assert.match(problems[1] ?? '', /ENOENT/);
  await writeFile(paths().key, 'key 3');
  files.check();
  assert.equal(files.current().key.toString(), 'key 3');
  files.close();
});

test('a link that is swapped is seen, as Kubernetes mounts secrets', async () => {
  await writeFile(path.join(folder, 'one'), 'one');
  await writeFile(path.join(folder, 'two'), 'two');
  const link = path.join(folder, 'linked');
  await symlink('one', link);
  await writeFile(paths().key, 'key');
  const files = new TlsFiles({ ...paths(), cert: link }, () => undefined);
  await symlink('two', `${link}.new`);
  await rename(`${link}.new`, link);
  files.check();
  assert.equal(files.current().cert.toString(), 'two');
  files.close();
});
