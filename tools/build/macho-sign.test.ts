import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { findSignature, readSegment } from './macho-file.ts';
import { findSignatureFault, signedAdHoc } from './macho-sign.ts';
import { findFetchedRuntime } from './runtime.ts';
import { parseTarget } from './targets.ts';

/** A Mach-O file as small as one can be that has what a signature needs: two segments and room for one command. */
function tinyMachO(sizes: { textBytes: number; linkEditBytes: number; roomBytes: number }): Buffer {
  const commands = Buffer.concat([
    segment('__TEXT', 0, sizes.textBytes),
    segment('__LINKEDIT', sizes.textBytes, sizes.linkEditBytes),
  ]);
  const header = Buffer.alloc(32);
  [0xfeedfacf, 0x0100000c, 0, 2, 2, commands.length, 0, 0].forEach((word, index) => {
    header.writeUInt32LE(word, index * 4);
  });
  const file = Buffer.alloc(sizes.textBytes + sizes.linkEditBytes, 0xaa);
  Buffer.concat([header, commands, Buffer.alloc(sizes.roomBytes)]).copy(file);
  return file;
}

function segment(name: string, fileOffset: number, fileSizeBytes: number): Buffer {
  const command = Buffer.alloc(72);
  command.writeUInt32LE(0x19, 0);
  command.writeUInt32LE(72, 4);
  command.write(name, 8, 'latin1');
  command.writeBigUInt64LE(BigInt(fileSizeBytes), 32);
  command.writeBigUInt64LE(BigInt(fileOffset), 40);
  command.writeBigUInt64LE(BigInt(fileSizeBytes), 48);
  return command;
}

const unsigned = tinyMachO({ textBytes: 0x4000, linkEditBytes: 5001, roomBytes: 64 });

test('an ad-hoc signature covers every page of the file, and __LINKEDIT reaches to its end', () => {
  const signed = signedAdHoc(unsigned, 'zot');
  assert.equal(findSignatureFault(signed), null);
  const place = findSignature(signed);
  assert.ok(place);
  assert.equal(place.offset % 16, 0);
  assert.equal(place.offset + place.sizeBytes, signed.length);
  const linkEdit = readSegment(signed, '__LINKEDIT');
  assert.equal(linkEdit.fileOffset + linkEdit.fileSizeBytes, signed.length);
  const mappedBytes = Number(signed.readBigUInt64LE(linkEdit.at + 32));
  assert.equal(mappedBytes % 0x4000, 0);
  assert.ok(mappedBytes >= linkEdit.fileSizeBytes);
  assert.ok(signed.includes('zot\0'));
});

test('everything but the load commands stays as it was', () => {
  const signed = signedAdHoc(unsigned, 'zot');
  assert.ok(signed.subarray(0x400, unsigned.length).equals(unsigned.subarray(0x400)));
});

test('one changed byte in any page is found', () => {
  for (const at of [0x500, 0x1000, 0x3fff, 0x4000, unsigned.length - 1]) {
    const signed = signedAdHoc(unsigned, 'zot');
    signed[at] = 0x55;
    assert.equal(findSignatureFault(signed), 'a page has another hash', `byte ${at}`);
  }
});

test('a cut file is found', () => {
  const signed = signedAdHoc(unsigned, 'zot');
  assert.match(findSignatureFault(signed.subarray(0, signed.length - 16)) ?? '', /past the end/);
  assert.equal(findSignatureFault(unsigned), 'no signature');
});

test('what cannot be signed is refused', () => {
  assert.throws(() => signedAdHoc(Buffer.from('#!/bin/sh\n'.repeat(10)), 'zot'), /not a 64-bit Mach-O file/);
  assert.throws(() => signedAdHoc(signedAdHoc(unsigned, 'zot'), 'zot'), /signed already/);
  const full = tinyMachO({ textBytes: 0x4000, linkEditBytes: 100, roomBytes: 8 });
  assert.throws(() => signedAdHoc(full, 'zot'), /no room for another load command/);
});

test('the check of signatures agrees with what Apple’s own tool wrote', (context) => {
  const runtime = findFetchedRuntime(parseTarget('darwin-arm64'));
  if (runtime === null) {
    context.skip('Node for macOS is not here; `npm run build -- --target darwin-arm64` fetches it');
    return;
  }
  assert.equal(findSignatureFault(readFileSync(runtime)), null);
});
