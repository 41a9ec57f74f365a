import type { ByteStream } from './byte-stream.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { BLOCK_BYTES, paddingBytes, readPaxRecords, readTarHeader, tarKind } from './tar-header.ts';
import type { TarHeader, TarKind } from './tar-header.ts';

export interface TarEntry {
  /** Without `./` in front and `/` at the end; never leads out of the archive. */
  readonly name: string;
  readonly kind: TarKind;
  readonly sizeBytes: number;
  /** The content, once; what is not read is passed over. */
  readonly content: () => AsyncIterable<Buffer>;
}

/** Extended headers hold a few names and numbers. */
const EXTENSION_BYTES_MAX = 1024 * 1024;
const NAME_BYTES_MAX = 4096;
/** Far more than any image has files; a bound for what one archive can make us look at. */
const ENTRIES_MAX = 4_000_000;
/** What programs fill an archive up with behind its end. */
const TRAILER_BYTES_MAX = 1024 * 1024;

/**
 * The entries of a tar archive in their order, read once from the beginning to the end. Nothing is unpacked: names
 * are names, and links lead nowhere. Throws `TransferRefusal` for what is damaged, or made to do harm.
 */
export async function* readTar(stream: ByteStream): AsyncGenerator<TarEntry, void, undefined> {
  let extensions = new Map<string, string>();
  for (let count = 0; ; count += 1) {
    if (count > ENTRIES_MAX) throw new TransferRefusal(`the archive has more than ${ENTRIES_MAX} entries`);
    const header = await nextHeader(stream);
    if (header === null) return stream.drain(TRAILER_BYTES_MAX);
    if (await takeExtension(stream, header, extensions)) continue;
    const entry = entryOf(header, extensions);
    extensions = new Map();
    const body = new EntryBody(stream, entry.sizeBytes);
    yield { ...entry, content: () => body.read() };
    await body.passOver();
  }
}

async function nextHeader(stream: ByteStream): Promise<TarHeader | null> {
  const { position } = stream;
  const block = await stream.take(BLOCK_BYTES);
  return block === null ? null : readTarHeader(block, position);
}

/** Takes an entry that only says more about the next one; gives whether it was such a one. */
async function takeExtension(
  stream: ByteStream,
  header: TarHeader,
  extensions: Map<string, string>,
): Promise<boolean> {
  const { flag } = header;
  if (!['x', 'g', 'L', 'K'].includes(flag)) return false;
  const { sizeBytes } = header;
  if (sizeBytes > EXTENSION_BYTES_MAX)
    throw new TransferRefusal(`the archive has an extended header of ${sizeBytes} bytes`);
  const padded = (await stream.take(sizeBytes + paddingBytes(sizeBytes))) ?? Buffer.alloc(0);
  const bytes = padded.subarray(0, sizeBytes);
  if (flag === 'x') for (const [key, value] of readPaxRecords(bytes)) extensions.set(key, value);
  // Of all entries at once nothing is said that matters here: no archive gives all of them one name or size.
  if (flag === 'L') extensions.set('path', bytes.toString('utf8').replace(/\0+$/, ''));
  return true;
}

function entryOf(header: TarHeader, extensions: ReadonlyMap<string, string>): Omit<TarEntry, 'content'> {
  const name = safeName(extensions.get('path') ?? header.name);
  const isSparse = [...extensions.keys()].some((key) => key.startsWith('GNU.sparse.'));
  const kind = isSparse ? 'sparse' : tarKind(header.flag);
  const text = extensions.get('size');
  if (text === undefined) return { name, kind, sizeBytes: header.sizeBytes };
  const sizeBytes = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(sizeBytes))
    throw new TransferRefusal(`the archive gives ${printable(name)} no valid size`);
  return { name, kind, sizeBytes };
}

/** A name that leads out of the archive has no place in one: whoever made it means harm. */
function safeName(written: string): string {
  const parts = written.split('/').filter((part) => part !== '.' && part !== '');
  const isBad = written.startsWith('/') || parts.includes('..') || written.includes('\0');
  if (isBad || Buffer.byteLength(written) > NAME_BYTES_MAX)
    throw new TransferRefusal(`the archive has an entry that leads out of it: "${printable(written)}"`);
  return parts.join('/');
}

/** The content of one entry, which stands in the stream before the next header. */
class EntryBody {
  #stream: ByteStream;
  #left: number;
  #padding: number;

  constructor(stream: ByteStream, sizeBytes: number) {
    this.#stream = stream;
    this.#left = sizeBytes;
    this.#padding = paddingBytes(sizeBytes);
  }

  async *read(): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of this.#stream.body(this.#left)) {
      this.#left -= piece.length;
      yield piece;
    }
  }

  async passOver(): Promise<void> {
    await this.#stream.skip(this.#left + this.#padding);
    this.#left = 0;
    this.#padding = 0;
  }
}
