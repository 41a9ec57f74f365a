import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ByteStream } from './byte-stream.ts';
import { TransferRefusal } from './refusal.ts';
import { readTarHeader, tarHeaderBlocks } from './tar-header.ts';
import { readTar } from './tar-reader.ts';
import { TarWriter } from './tar-writer.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'zot-tar-'));
after(() => rmSync(folder, { recursive: true }));

interface Read {
  readonly name: string;
  readonly kind: string;
  readonly bytes: Buffer;
}

/** A stream of the bytes in pieces of a size. */
function streamOf(bytes: Buffer, pieceBytes = 700): ByteStream {
  let position = 0;
  return new ByteStream({
    async next() {
      const piece = bytes.subarray(position, position + pieceBytes);
      position += piece.length;
      return piece.length === 0 ? null : piece;
    },
    close: async () => undefined,
  });
}

async function readAll(bytes: Buffer, pieceBytes?: number): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { name, kind, content } of readTar(streamOf(bytes, pieceBytes))) {
    const pieces: Buffer[] = [];
    for await (const piece of content()) pieces.push(Buffer.from(piece));
    entries.push({ name, kind, bytes: Buffer.concat(pieces) });
  }
  return entries;
}

async function archiveOf(files: Readonly<Record<string, Buffer>>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const tar = new TarWriter(async (bytes) => void pieces.push(Buffer.from(bytes)));
  for (const [name, bytes] of Object.entries(files)) await tar.add(name, bytes);
  await tar.end();
  return Buffer.concat(pieces);
}

/** An entry as `tarHeaderBlocks` writes it, with one field changed and the checksum made right again. */
function header(name: string, change: (block: Buffer) => void, content = Buffer.alloc(0)): Buffer {
  const block = tarHeaderBlocks({ name, sizeBytes: content.length });
  change(block);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

const setFlag =
  (flag: string) =>
  (block: Buffer): void =>
    void block.write(flag, 156, 'latin1');
const END = Buffer.alloc(1024);

const refused = (bytes: Buffer, words: RegExp): Promise<void> =>
  assert.rejects(readAll(bytes), (error) => error instanceof TransferRefusal && words.test(error.message));

test('what is written is read again, whatever the sizes and names, in pieces of any size', async () => {
  const name = fc.stringMatching(/^[a-z]{1,30}(\/[a-zé0-9]{1,60}){0,4}$/);
  const files = fc.dictionary(name, fc.uint8Array({ maxLength: 2000 }), {
    maxKeys: 6,
    noNullPrototype: true,
  });
  await fc.assert(
    fc.asyncProperty(files, fc.integer({ min: 1, max: 3000 }), async (random, pieceBytes) => {
      const written = Object.entries(random).map(([key, bytes]) => [key, Buffer.from(bytes)] as const);
      const read = await readAll(await archiveOf(Object.fromEntries(written)), pieceBytes);
      assert.deepEqual(
        read.map(({ name: key, bytes }) => [key, bytes]),
        written,
      );
    }),
    { numRuns: 50 },
  );
});

test('GNU tar reads what is written, long names and files included', async () => {
  const long = `blobs/sha512/${'a'.repeat(128)}`;
  const file = path.join(folder, 'ours.tar');
  writeFileSync(file, await archiveOf({ 'oci-layout': Buffer.from('{}'), [long]: Buffer.from('content') }));
  const list = execFileSync('tar', ['tf', file], { encoding: 'utf8' });
  assert.equal(list, `oci-layout\n${long}\n`);
  assert.equal(execFileSync('tar', ['xOf', file, long], { encoding: 'utf8' }), 'content');
});

for (const format of ['v7', 'ustar', 'gnu', 'pax']) {
  test(`reads what GNU tar writes as ${format}`, async () => {
    const source = path.join(folder, format);
    const name = format === 'v7' ? 'short' : `blobs/sha512/${'b'.repeat(format === 'ustar' ? 80 : 128)}`;
    mkdirSync(path.dirname(path.join(source, name)), { recursive: true });
    writeFileSync(path.join(source, name), 'x'.repeat(1500));
    const bytes = execFileSync('tar', ['c', `--format=${format}`, '-C', source, '.']);
    const files = (await readAll(bytes)).filter(({ kind }) => kind === 'file');
    assert.deepEqual(files, [{ name, kind: 'file', bytes: Buffer.from('x'.repeat(1500)) }]);
  });
}

test('a size beyond eight gibibytes is written as pax and read as pax and as GNU wrote it', () => {
  const sizeBytes = 9 * 1024 ** 3;
  const blocks = tarHeaderBlocks({ name: 'large', sizeBytes });
  assert.match(blocks.toString('latin1', 512, 600), new RegExp(`^19 size=${sizeBytes}\n`));
  const binary = header('large', (block) => {
    block.fill(0, 124, 136);
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(sizeBytes), 128);
  });
  assert.equal(readTarHeader(binary.subarray(0, 512), 0)?.sizeBytes, sizeBytes);
});

test('names that lead out of the archive are refused', async () => {
  for (const name of ['../up', 'a/../../up', '/etc/passwd', 'a/..'])
    await refused(
      header(name, () => undefined),
      /leads out of it/,
    );
  const pax = Buffer.from('19 path=../../evil\n');
  await refused(
    Buffer.concat([header('x', setFlag('x'), pax), header('good', () => undefined)]),
    /leads out/,
  );
});

test('links, folders with holes and devices are told for what they are', async () => {
  const kinds = { '1': 'link', '2': 'link', '3': 'other', '5': 'folder', '6': 'other', S: 'sparse' };
  for (const [flag, kind] of Object.entries(kinds)) {
    const [entry] = await readAll(Buffer.concat([header('a', setFlag(flag)), END]));
    assert.equal(entry?.kind, kind);
  }
  const pax = Buffer.from('22 GNU.sparse.major=1\n');
  const [entry] = await readAll(
    Buffer.concat([header('x', setFlag('x'), pax), header('a', () => undefined), END]),
  );
  assert.equal(entry?.kind, 'sparse');
});

test('huge and damaged headers are refused, and nothing is read into memory for them', async () => {
  const huge = header('x', (block) => {
    setFlag('x')(block);
    block.write('77777777777', 124, 'latin1');
  });
  await refused(huge, /extended header of 8589934591 bytes/);
  await refused(
    header('L', setFlag('x'), Buffer.from('999999999 path=a\n')),
    /extended header cannot be read/,
  );
  const long = header('a', setFlag('L'), Buffer.from('a/'.repeat(3000)));
  await refused(Buffer.concat([long, header('b', () => undefined)]), /leads out of it/);
  const size = (text: string) => (block: Buffer) => void block.write(text.padEnd(12, '\0'), 124, 'latin1');
  for (const text of ['-1', '8', 'x']) await refused(header('a', size(text)), /no valid size/);
  const negative = header('a', (block) => block.fill(0xff, 124, 136));
  await refused(negative, /no valid size/);
  await refused(
    Buffer.concat([header('x', setFlag('x'), Buffer.from('13 size=-100\n')), header('a', () => undefined)]),
    /no valid size/,
  );
  await refused(Buffer.alloc(512, 'a'), /no tar archive/);
});

test('an archive that is cut off is refused where it is cut off', async () => {
  const whole = await archiveOf({ a: Buffer.alloc(1000, 'a'), b: Buffer.alloc(10, 'b') });
  for (const at of [100, 512 + 500, 512 + 1024 + 100]) await refused(whole.subarray(0, at), /cut off after/);
  assert.equal((await readAll(whole.subarray(0, 512 + 1024))).length, 1);
});

test('random bytes and random changes are refused or read, and never anything else', async () => {
  const whole = await archiveOf({ 'index.json': Buffer.alloc(300, 'i'), 'blobs/x': Buffer.alloc(700, 'x') });
  const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 8 }), async (changes) => {
      const bytes = Buffer.from(whole);
      for (const { at, to } of changes) bytes[at] = to;
      await readAll(bytes).catch((error: unknown) =>
        assert.ok(error instanceof TransferRefusal, String(error)),
      );
    }),
    { numRuns: 300 },
  );
});
