/**
 * The part of the kernel's FUSE protocol (include/uapi/linux/fuse.h, version 7.31) that one file in one folder needs.
 * All numbers are little-endian here: the machines that run these tests are.
 */

export const OPCODE = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  releasedir: 29,
  access: 34,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

export const ENOENT = 2;
export const ENOSYS = 38;
export const ROOT_NODE = 1n;
export const FILE_NODE = 2n;
export const FILE_NAME = 'disk';
/** The most that one write may carry. */
export const WRITE_BYTES_MAX = 128 * 1024;

const HEADER_BYTES = 40;
const ANSWER_HEADER_BYTES = 16;
const BIG_WRITES = 1 << 5;
const FOREVER_SECONDS = 1_000_000n;
const FOLDER_MODE = 0o040755;
const FILE_MODE = 0o100600;

export interface FuseRequest {
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: bigint;
  /** What follows the header. */
  readonly body: Buffer;
}

export function parseRequest(bytes: Buffer): FuseRequest {
  return {
    opcode: bytes.readUInt32LE(4),
    unique: bytes.readBigUInt64LE(8),
    node: bytes.readBigUInt64LE(16),
    body: bytes.subarray(HEADER_BYTES, bytes.readUInt32LE(0)),
  };
}

/** An answer: `error` is 0 or an errno. */
export function answer(unique: bigint, error: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(ANSWER_HEADER_BYTES);
  head.writeUInt32LE(ANSWER_HEADER_BYTES + body.length, 0);
  head.writeInt32LE(-error, 4);
  head.writeBigUInt64LE(unique, 8);
  return Buffer.concat([head, body]);
}

export function initBody(): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(7, 0);
  body.writeUInt32LE(31, 4);
  body.writeUInt32LE(BIG_WRITES, 12);
  body.writeUInt16LE(16, 16);
  body.writeUInt16LE(12, 18);
  body.writeUInt32LE(WRITE_BYTES_MAX, 20);
  body.writeUInt32LE(1, 24);
  return body;
}

function attributes(node: bigint, sizeBytes: number): Buffer {
  const isFile = node === FILE_NODE;
  const body = Buffer.alloc(88);
  body.writeBigUInt64LE(node, 0);
  body.writeBigUInt64LE(BigInt(isFile ? sizeBytes : 0), 8);
  body.writeBigUInt64LE(BigInt(isFile ? sizeBytes / 512 : 0), 16);
  body.writeUInt32LE(isFile ? FILE_MODE : FOLDER_MODE, 60);
  body.writeUInt32LE(1, 64);
  body.writeUInt32LE(4096, 80);
  return body;
}

export function attributesBody(node: bigint, sizeBytes: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(FOREVER_SECONDS, 0);
  return Buffer.concat([head, attributes(node, sizeBytes)]);
}

export function entryBody(sizeBytes: number): Buffer {
  const head = Buffer.alloc(40);
  head.writeBigUInt64LE(FILE_NODE, 0);
  head.writeBigUInt64LE(FOREVER_SECONDS, 16);
  head.writeBigUInt64LE(FOREVER_SECONDS, 24);
  return Buffer.concat([head, attributes(FILE_NODE, sizeBytes)]);
}

/** Offset and length of a read. */
export function readRange(body: Buffer): { readonly position: number; readonly length: number } {
  return { position: Number(body.readBigUInt64LE(8)), length: body.readUInt32LE(16) };
}

/** Offset and bytes of a write. */
export function writtenBytes(body: Buffer): { readonly position: number; readonly bytes: Buffer } {
  const length = body.readUInt32LE(16);
  return { position: Number(body.readBigUInt64LE(8)), bytes: body.subarray(40, 40 + length) };
}

export function writtenBody(length: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32LE(length, 0);
  return body;
}
