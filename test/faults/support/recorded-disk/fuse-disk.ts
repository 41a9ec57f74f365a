/**
 * A process of its own: `fuse-disk.ts <folder> <image> <log> <size>` mounts a folder that holds one file, `disk`, with
 * the bytes of an image, and writes down every write and every flush, in their order, before it answers. The kernel
 * makes a block device of that file, so that the log is what a real disk would have been told.
 *
 * A record: one byte (1 write, 2 flush), the position (8 bytes), the length (4 bytes), the bytes.
 */
import { spawnSync } from 'node:child_process';
import { constants, openSync, read, readSync, writeSync } from 'node:fs';
import process from 'node:process';
import {
  ENOENT,
  ENOSYS,
  FILE_NAME,
  OPCODE,
  ROOT_NODE,
  WRITE_BYTES_MAX,
  answer,
  attributesBody,
  entryBody,
  initBody,
  parseRequest,
  readRange,
  writtenBody,
  writtenBytes,
} from './fuse-protocol.ts';
import type { FuseRequest } from './fuse-protocol.ts';

const [folder = '', imageFile = '', logFile = '', size = '0'] = process.argv.slice(2);
const sizeBytes = Number(size);
const fuse = openSync('/dev/fuse', constants.O_RDWR);
const image = openSync(imageFile, constants.O_RDWR);
const log = openSync(logFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);

const mounted = spawnSync(
  'mount',
  ['-i', '-t', 'fuse', '-o', 'fd=3,rootmode=40000,user_id=0,group_id=0', 'zot-recorded', folder],
  { stdio: ['ignore', 'inherit', 'inherit', fuse] },
);
if (mounted.status !== 0) process.exit(1);

const attributesOf: Operation = ({ node }) => attributesBody(node, sizeBytes);
const opened: Operation = () => Buffer.alloc(16);
const done: Operation = () => 0;
const operations: ReadonlyMap<number, Operation> = new Map([
  [OPCODE.init, initBody],
  [OPCODE.lookup, find],
  [OPCODE.getattr, attributesOf],
  [OPCODE.setattr, attributesOf],
  [OPCODE.open, opened],
  [OPCODE.opendir, opened],
  [OPCODE.statfs, () => Buffer.alloc(80)],
  [OPCODE.read, readImage],
  [OPCODE.write, writeImage],
  [OPCODE.fsync, flushImage],
  ...[OPCODE.flush, OPCODE.release, OPCODE.releasedir, OPCODE.access, OPCODE.destroy].map(
    (opcode): [number, Operation] => [opcode, done],
  ),
]);
process.stdout.write('mounted\n');
serve();

function serve(): void {
  const buffer = Buffer.alloc(WRITE_BYTES_MAX + 64 * 1024);
  const next = (): void =>
    read(fuse, buffer, 0, buffer.length, null, (error, length) => {
      // ENODEV: unmounted. ENOENT, EINTR, EAGAIN: a request that was taken back.
      if (error !== null && !['ENOENT', 'EINTR', 'EAGAIN'].includes(String(error.code))) process.exit(0);
      if (error === null) reply(parseRequest(buffer.subarray(0, length)));
      next();
    });
  next();
}

function reply(request: FuseRequest): void {
  const { opcode, unique } = request;
  if (opcode === OPCODE.forget || opcode === OPCODE.batchForget || opcode === OPCODE.interrupt) return;
  const result = carryOut(request);
  const bytes = typeof result === 'number' ? answer(unique, result) : answer(unique, 0, result);
  writeSync(fuse, bytes);
}

/** The body of the answer, or an errno; 0 for success without a body. */
type Operation = (request: FuseRequest) => Buffer | number;

function carryOut(request: FuseRequest): Buffer | number {
  return operations.get(request.opcode)?.(request) ?? ENOSYS;
}

function find({ node, body }: FuseRequest): Buffer | number {
  return node === ROOT_NODE && body.toString().startsWith(`${FILE_NAME}\0`) ? entryBody(sizeBytes) : ENOENT;
}

function flushImage(): number {
  note(2, 0, Buffer.alloc(0));
  return 0;
}

function readImage({ body }: FuseRequest): Buffer {
  const { position, length } = readRange(body);
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, sizeBytes - position)));
  readSync(image, bytes, 0, bytes.length, position);
  return bytes;
}

function writeImage({ body }: FuseRequest): Buffer {
  const { position, bytes } = writtenBytes(body);
  note(1, position, bytes);
  writeSync(image, bytes, 0, bytes.length, position);
  return writtenBody(bytes.length);
}

function note(kind: number, position: number, bytes: Buffer): void {
  const head = Buffer.alloc(13);
  head.writeUInt8(kind, 0);
  head.writeBigUInt64LE(BigInt(position), 1);
  head.writeUInt32LE(bytes.length, 9);
  writeSync(log, Buffer.concat([head, bytes]));
}
