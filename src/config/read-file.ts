import { closeSync, openSync, readSync } from 'node:fs';

/** The file cannot be used; the message says why and names it. */
export class FileReadError extends Error {
  override readonly name = 'FileReadError';
}

/** Larger files are refused before they are read to the end. */
const fileBytesMax = 4 * 1_048_576;

/** Reads a text in UTF-8, without a byte order mark. Pipes can be read, too. @throws FileReadError */
export function readTextFile(path: string): string {
  const bytes = readBounded(path);
  if (bytes.length > fileBytesMax) throw new FileReadError(`the file ${path} is larger than 4 MiB`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new FileReadError(`the file ${path} is not text in UTF-8`, { cause: error });
  }
}

function readBounded(path: string): Uint8Array {
  const buffer = Buffer.alloc(fileBytesMax + 1);
  try {
    const file = openSync(path, 'r');
    try {
      let length = 0;
      for (let read = 1; read > 0 && length < buffer.length; length += read) {
        read = readSync(file, buffer, length, buffer.length - length, null);
      }
      return buffer.subarray(0, length);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new FileReadError(`the file ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

/** What people meet, in their words; anything else as the system says it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES') return 'this user may not (permission denied)';
  return message;
}
