/** Archives that are damaged, or made to do harm: each is refused in one line, and nothing gets a name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { runZot } from '../../support/run-zot.ts';
import { TarWriter } from '../../../src/transfer/tar-writer.ts';
import { descriptorOf, imageOf, indexOf } from '../support/content.ts';
import type { Content } from '../support/content.ts';
import { contentsOf, tagged, writeLayout } from '../support/layout.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-hostile-'));
after(() => rmSync(folder, { recursive: true }));

const image = imageOf('hostile');
const layout = Buffer.from('{"imageLayoutVersion":"1.0.0"}');
const indexOfImage = Buffer.from(
  JSON.stringify({ schemaVersion: 2, manifests: [tagged(image.manifest, 'v1')] }),
);
const nameOf = ({ digest }: Content): string => `blobs/${digest.replace(':', '/')}`;
const blobs: readonly (readonly [string, Buffer])[] = contentsOf(image).map((blob) => [
  nameOf(blob),
  blob.bytes,
]);

async function archiveOf(files: readonly (readonly [string, Buffer])[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const tar = new TarWriter(async (bytes) => void pieces.push(Buffer.from(bytes)));
  for (const [name, bytes] of files) await tar.add(name, bytes);
  await tar.end();
  return Buffer.concat(pieces);
}

let count = 0;

/** Imports an archive into a folder of its own; gives what was said, and the repositories that have a name then. */
async function tryImport(
  bytes: Buffer,
  ...flags: string[]
): Promise<{ errors: string; text: string; named: boolean }> {
  count += 1;
  const root = path.join(folder, `root-${count}`);
  await mkdir(root);
  const file = path.join(folder, `${count}.tar`);
  await writeFile(file, bytes);
  const { errors, text, exitCode } = await runZot('import', root, file, '--repo', 'app', ...flags);
  assert.equal(exitCode, errors === '' && !text.startsWith('not ') ? 0 : 1);
  return { errors, text, named: existsSync(path.join(root, 'app/index.json')) };
}

async function refused(bytes: Buffer, words: RegExp): Promise<void> {
  const { errors, named } = await tryImport(bytes);
  assert.match(errors, /^Error: [^\n]+\n$/);
  assert.match(errors, words);
  assert.equal(named, false);
}

test('a sound archive comes in, plain and compressed, whatever the order of its files', async () => {
  const files = [['oci-layout', layout], ['index.json', indexOfImage], ...blobs] as const;
  for (const some of [files, files.toReversed()])
    assert.deepEqual((await tryImport(await archiveOf(some))).named, true);
  const whole = await archiveOf(files);
  assert.ok((await tryImport(gzipSync(whole))).named);
  assert.ok((await tryImport(zstdCompressSync(whole))).named);
  // Several members, as parallel programs write them.
  assert.ok(
    (await tryImport(Buffer.concat([gzipSync(whole.subarray(0, 700)), gzipSync(whole.subarray(700))]))).named,
  );
});

test('bytes of another digest are refused before anything is named', async () => {
  const wrong = blobs.map(([name, bytes]) => [name, Buffer.alloc(bytes.length, 'x')] as const);
  await refused(await archiveOf([['index.json', indexOfImage], ...wrong]), /has bytes of another digest/);
});

test('a blob that is missing is named, and its image is not', async () => {
  const { text, named } = await tryImport(await archiveOf([['index.json', indexOfImage], ...blobs.slice(1)]));
  assert.match(text, /^not imported: \S+ \(v1\): the blob \S+ is missing\n/);
  assert.equal(named, false);
});

test('an index.json that is missing, twice there, elsewhere, or no index is refused', async () => {
  await refused(await archiveOf(blobs), /index\.json is missing \(at app\)\n/);
  await refused(
    await archiveOf([['manifest.json', layout]]),
    /index\.json is missing; it seems to be of "docker save"/,
  );
  await refused(
    await archiveOf([['deep/index.json', indexOfImage]]),
    /it lies in deep: pack that folder's content/,
  );
  const twice = [['index.json', indexOfImage], ...blobs, ['index.json', indexOfImage]] as const;
  await refused(await archiveOf(twice), /holds index\.json twice/);
  const bad = [
    '',
    '[]',
    '{"manifests":{}}',
    '{"manifests":[{"digest":"sha256:x"}]}',
    '{"manifests":["\\u001b[2J"]}',
  ];
  for (const text of bad) await refused(await archiveOf([['index.json', Buffer.from(text)]]), /index\.json/);
});

test('an index.json that is a bomb is refused without being read', async () => {
  const deep = Buffer.from(`{"manifests":${'['.repeat(500_000)}`);
  await refused(await archiveOf([['index.json', deep]]), /nested more than 100/);
  const wide = Buffer.from(`{"manifests":[${'{},'.repeat(1_000_001)}{}]}`);
  await refused(await archiveOf([['index.json', wide]]), /more than 1000000 objects/);
  const large = await archiveOf([['index.json', Buffer.alloc(65 * 1024 * 1024, ' ')]]);
  await refused(gzipSync(large), /has 68157440 bytes, more than/);
});

test('links, holes and names that lead out are refused', async () => {
  const source = path.join(folder, 'links');
  await writeLayout(source, indexOfImage.toString(), contentsOf(image));
  const blob = path.join(source, nameOf(image.config));
  rmSync(blob);
  symlinkSync('/etc/passwd', blob);
  await refused(execFileSync('tar', ['c', '-C', source, '.']), /is a link, and must be a file/);
  rmSync(blob);
  writeFileSync(blob, '');
  truncateSync(blob, 1024 * 1024);
  await refused(execFileSync('tar', ['c', '--sparse', '-C', source, '.']), /is a sparse, and must be a file/);
  await refused(await archiveOf([['../../evil', layout]]), /leads out of it/);
  await refused(execFileSync('tar', ['c', '-P', '/etc/hostname']), /leads out of it/);
});

test('archives that are cut off, of another kind, or endless nothing are refused', async () => {
  const whole = await archiveOf([['index.json', indexOfImage], ...blobs]);
  await refused(whole.subarray(0, 1000), /cut off/);
  await refused(gzipSync(whole).subarray(0, 300), /cannot be unpacked by gzip/);
  const broken = gzipSync(whole);
  broken[broken.length - 6] = (broken.at(-6) ?? 0) ^ 0xff;
  await refused(broken, /cannot be unpacked by gzip/);
  await refused(Buffer.from('BZh91AY&SY'), /compressed with bzip2: unpack it/);
  await refused(Buffer.alloc(4096, 'no tar'), /no tar archive/);
  await refused(Buffer.alloc(0), /index\.json is missing/);
});

test('an index that lists itself many times over is taken once', async () => {
  let child: Content = image.manifest;
  const levels: Content[] = [];
  for (let level = 0; level < 12; level += 1) {
    child = indexOf(Array.from({ length: 40 }, () => descriptorOf(child)));
    levels.push(child);
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [tagged(child, 'v1')] }));
  const files = [
    ['index.json', index],
    ...blobs,
    ...levels.map((one) => [nameOf(one), one.bytes] as const),
  ] as const;
  const started = performance.now();
  assert.equal((await tryImport(await archiveOf(files))).named, true);
  assert.ok(performance.now() - started < 20_000);
  const deeper = Array.from({ length: 10 }).reduce<Content[]>(
    (all) => [...all, indexOf([descriptorOf(all.at(-1) ?? child)])],
    levels,
  );
  const top = deeper.at(-1) ?? child;
  const tooDeep = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [tagged(top, 'v1')] }));
  const more = [
    ['index.json', tooDeep],
    ...blobs,
    ...deeper.map((one) => [nameOf(one), one.bytes] as const),
  ] as const;
  const result = await tryImport(await archiveOf(more));
  assert.match(result.text, /nested more than 16 deep/);
});

test('a refused archive leaves sound blobs without a name, and nothing else', async () => {
  const root = path.join(folder, 'left');
  await mkdir(root);
  const wrong = [...blobs.slice(0, 2), [nameOf(image.manifest), Buffer.from('{}')]] as const;
  const file = path.join(folder, 'left.tar');
  await writeFile(file, await archiveOf([['index.json', indexOfImage], ...(wrong as typeof blobs)]));
  assert.equal((await runZot('import', root, file, '--repo', 'app')).exitCode, 1);
  assert.equal((await runZot('check', root, '--deep')).exitCode, 0);
  assert.deepEqual(await readdir(path.join(root, 'app/.uploads')), []);
  assert.equal(existsSync(path.join(root, 'app/index.json')), false);
});
