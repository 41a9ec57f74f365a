import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ByteStream } from './byte-stream.ts';
import type { ByteInput } from './byte-stream.ts';
import { TransferRefusal } from './refusal.ts';

const READ_BYTES = 1024 * 1024;

/** What compressed files begin with. */
const FORMATS: readonly { readonly name: string; readonly magic: Buffer }[] = [
  { name: 'gzip', magic: Buffer.from([0x1f, 0x8b]) },
  { name: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { name: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]) },
  { name: 'bzip2', magic: Buffer.from('BZh') },
];

/** Opens an archive in a file, compressed or not. */
export async function openArchiveFile(path: string): Promise<ByteStream> {
  if (!(await stat(path)).isFile()) return openArchiveStream(createReadStream(path));
  return decompressed(new ByteStream(await fileInput(path)));
}

/** Opens an archive that comes through a pipe, compressed or not. */
export function openArchiveStream(stream: Readable): Promise<ByteStream> {
  return decompressed(new ByteStream(streamInput(stream)));
}

async function decompressed(stream: ByteStream): Promise<ByteStream> {
  try {
    const head = await stream.peek(8);
    const format = FORMATS.find(({ magic }) => head.subarray(0, magic.length).equals(magic))?.name;
    return format === undefined ? stream : unpacked(stream, format);
  } catch (error) {
    await stream.close();
    throw error;
  }
}

function unpacked(stream: ByteStream, format: string): ByteStream {
  if (format !== 'gzip' && format !== 'zstd')
    throw new TransferRefusal(`the archive is compressed with ${format}: unpack it, or pipe it in unpacked`);
  const source = Readable.from(rest(stream), { objectMode: false });
  const unpacker = format === 'gzip' ? createGunzip() : createZstdDecompress();
  const piped = source.on('error', (error) => unpacker.destroy(error)).pipe(unpacker);
  const input = streamInput(piped);
  return new ByteStream({
    next: async () => {
      try {
        return await input.next();
      } catch (error) {
        throw new TransferRefusal(`the archive cannot be unpacked by ${format}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
    close: async () => {
      source.destroy();
      await input.close();
      await stream.close();
    },
  });
}

async function* rest(stream: ByteStream): AsyncGenerator<Buffer, void, undefined> {
  for (;;) {
    const piece = await stream.some();
    if (piece === null) return;
    yield piece;
  }
}

async function fileInput(path: string): Promise<ByteInput> {
  const file = await open(path, 'r');
  let position = 0;
  return {
    async next() {
      // New memory for each piece, since whoever gets it may give it back.
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, position);
      if (bytesRead === 0 && position > (await file.stat()).size)
        throw new TransferRefusal(`the archive is cut off: it goes on for ${position} bytes at least`);
      position += bytesRead;
      return bytesRead === 0 ? null : buffer.subarray(0, bytesRead);
    },
    jump(sizeBytes) {
      position += sizeBytes;
    },
    close: () => file.close(),
  };
}

function streamInput(stream: Readable): ByteInput {
  const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  return {
    async next() {
      const { done, value } = await pieces.next();
      return done === true ? null : value;
    },
    async close() {
      stream.destroy();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
