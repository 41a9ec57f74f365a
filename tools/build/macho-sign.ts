import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { announceSignature, findSignature, readSegment } from './macho-file.ts';

/**
 * Ad-hoc code signatures for macOS on ARM, which starts no program without one. Ad-hoc means: no certificate, only the
 * hashes of the file's pages. It is what linkers write into every program built on or for such a machine.
 *
 *     SuperBlob:      magic, length, number of blobs (1), { type 0, offset of the CodeDirectory }
 *     CodeDirectory:  fields (88 bytes), identifier with a zero byte, one SHA-256 per page of the file
 *
 * All numbers are big endian. The records are described in Apple's <kern/cs_blobs.h>.
 */

const superBlobMagic = 0xfade0cc0;
const codeDirectoryMagic = 0xfade0c02;
/** The version of the record that has the fields about the executable segment. */
const codeDirectoryVersion = 0x20400;
const flagAdHoc = 0x2;
const flagLinkerSigned = 0x20000;
const hashTypeSha256 = 2;
const hashSizeBytes = 32;
const pageSizeLog2 = 12;
const superBlobSizeBytes = 20;
const fieldsSizeBytes = 88;
const execSegmentMainBinary = 1n;

/** Signs a Mach-O executable in place. @throws Error when the file is no Mach-O file or is signed already. */
export function signAdHoc(file: string, identifier: string): void {
  writeFileSync(file, signedAdHoc(readFileSync(file), identifier));
}

/** The signed copy of an unsigned Mach-O executable. */
export function signedAdHoc(unsigned: Buffer, identifier: string): Buffer {
  const offset = Math.ceil(unsigned.length / 16) * 16;
  const pages = Math.ceil(offset / 2 ** pageSizeLog2);
  const hashOffset = fieldsSizeBytes + Buffer.byteLength(identifier) + 1;
  const directorySizeBytes = hashOffset + pages * hashSizeBytes;
  const sizeBytes = Math.ceil((superBlobSizeBytes + directorySizeBytes) / 16) * 16;

  const signed = Buffer.alloc(offset + sizeBytes);
  unsigned.copy(signed);
  announceSignature(signed, { offset, sizeBytes });

  const blob = signed.subarray(offset);
  writeNumbers(blob, 0, [superBlobMagic, superBlobSizeBytes + directorySizeBytes, 1, 0, superBlobSizeBytes]);
  const directory = blob.subarray(superBlobSizeBytes, superBlobSizeBytes + directorySizeBytes);
  const text = readSegment(signed, '__TEXT');
  writeNumbers(directory, 0, [
    codeDirectoryMagic,
    directorySizeBytes,
    codeDirectoryVersion,
    flagAdHoc | flagLinkerSigned,
    hashOffset,
    fieldsSizeBytes,
    0,
    pages,
    offset,
  ]);
  directory.set([hashSizeBytes, hashTypeSha256, 0, pageSizeLog2], 36);
  directory.writeBigUInt64BE(BigInt(text.fileOffset), 64);
  directory.writeBigUInt64BE(BigInt(text.fileSizeBytes), 72);
  directory.writeBigUInt64BE(execSegmentMainBinary, 80);
  directory.write(`${identifier}\0`, fieldsSizeBytes, 'utf8');
  hashPages(signed.subarray(0, offset), pageSizeLog2).copy(directory, hashOffset);
  return signed;
}

/**
 * Checks the page hashes of a signed file, ad-hoc or not.
 *
 * @returns null when every hash fits, else what is wrong.
 */
export function findSignatureFault(bytes: Buffer): string | null {
  const place = findSignature(bytes);
  if (place === null) return 'no signature';
  const blob = bytes.subarray(place.offset, place.offset + place.sizeBytes);
  if (blob.length !== place.sizeBytes) return 'the signature reaches past the end of the file';
  if (blob.readUInt32BE(0) !== superBlobMagic) return 'the signature has a wrong magic number';
  const directory = findCodeDirectory(blob);
  if (directory === null) return 'the signature has no code directory';
  const hashOffset = directory.readUInt32BE(16);
  const pages = directory.readUInt32BE(28);
  const limit = directory.readUInt32BE(32);
  if (limit !== place.offset) return `the hashes cover ${limit} bytes of ${place.offset}`;
  const expected = hashPages(bytes.subarray(0, limit), directory.readUInt8(39));
  if (expected.length !== pages * hashSizeBytes) return `${pages} pages are hashed`;
  const hashes = directory.subarray(hashOffset, hashOffset + expected.length);
  return hashes.equals(expected) ? null : 'a page has another hash';
}

function findCodeDirectory(blob: Buffer): Buffer | null {
  const count = blob.readUInt32BE(8);
  for (let index = 0; index < count; index += 1) {
    const at = blob.readUInt32BE(16 + index * 8);
    if (blob.readUInt32BE(at) === codeDirectoryMagic)
      return blob.subarray(at, at + blob.readUInt32BE(at + 4));
  }
  return null;
}

function hashPages(bytes: Buffer, sizeLog2: number): Buffer {
  const pageSizeBytes = 2 ** sizeLog2;
  const hashes: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pageSizeBytes) {
    hashes.push(
      createHash('sha256')
        .update(bytes.subarray(at, at + pageSizeBytes))
        .digest(),
    );
  }
  return Buffer.concat(hashes);
}

function writeNumbers(bytes: Buffer, at: number, numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number, at + index * 4);
}
