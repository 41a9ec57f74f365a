import { digestFromParts } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { INDEX_FILE, LAYOUT_FILE } from '#storage';
import type { IndexEntry } from '#storage';
import type { BlobIntake } from './blob-intake.ts';
import type { ByteStream } from './byte-stream.ts';
import { INDEX_BYTES_MAX, readLayoutIndex } from './layout-index.ts';
import { TransferRefusal, printable } from './refusal.ts';
import { readTar } from './tar-reader.ts';
import type { TarEntry } from './tar-reader.ts';

const LAYOUT_BYTES_MAX = 64 * 1024;

/**
 * Takes every blob of an archive into a repository, each proven by its digest on the way, and gives what index.json
 * names. The archive is read once, so that it may come through a pipe; nothing gets a name here.
 */
export async function takeArchive(stream: ByteStream, blobs: BlobIntake): Promise<readonly IndexEntry[]> {
  const files = new LayoutFiles();
  for await (const entry of readTar(stream)) {
    const digest = digestOfName(entry.name);
    if (digest !== null) await takeBlob(entry, digest, blobs);
    else await files.take(entry);
  }
  return files.entries();
}

/** What index.json of an archive names, without looking at anything else in it. */
export async function findArchiveIndex(stream: ByteStream): Promise<readonly IndexEntry[]> {
  const files = new LayoutFiles();
  for await (const entry of readTar(stream)) {
    if (entry.name === INDEX_FILE) return readLayoutIndex(await contentOf(entry, INDEX_BYTES_MAX));
    files.note(entry);
  }
  return files.entries();
}

function digestOfName(name: string): Digest | null {
  const [, algorithm = '', hex = ''] = /^blobs\/([a-z0-9]+)\/([0-9a-f]+)$/.exec(name) ?? [];
  return digestFromParts(algorithm, hex);
}

async function takeBlob(entry: TarEntry, digest: Digest, blobs: BlobIntake): Promise<void> {
  requireFile(entry);
  const { sizeBytes } = entry;
  if (await blobs.holds({ digest, sizeBytes })) return;
  try {
    await blobs.push({ digest, sizeBytes }, entry.content());
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'DIGEST_INVALID') throw error;
    throw new TransferRefusal(`the archive is damaged: ${entry.name} has bytes of another digest`, {
      cause: error,
    });
  }
}

/** Links and files with holes could stand for anything: what an image needs must be there as it is. */
function requireFile({ name, kind }: TarEntry): void {
  if (kind === 'file') return;
  throw new TransferRefusal(`in the archive ${printable(name)} is a ${kind}, and must be a file`);
}

async function contentOf(entry: TarEntry, sizeBytesMax: number): Promise<Buffer> {
  requireFile(entry);
  const { name, sizeBytes } = entry;
  if (sizeBytes > sizeBytesMax)
    throw new TransferRefusal(`${name} has ${sizeBytes} bytes, more than the ${sizeBytesMax} that are read`);
  const pieces: Buffer[] = [];
  for await (const piece of entry.content()) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The files of a layout beside its blobs. */
class LayoutFiles {
  #files = new Map<string, Buffer>();
  /** What tells of another kind of archive. */
  #hint = '';

  async take(entry: TarEntry): Promise<void> {
    this.note(entry);
    const { name } = entry;
    if (name !== INDEX_FILE && name !== LAYOUT_FILE) return;
    if (this.#files.has(name)) throw new TransferRefusal(`the archive holds ${name} twice`);
    this.#files.set(name, await contentOf(entry, name === INDEX_FILE ? INDEX_BYTES_MAX : LAYOUT_BYTES_MAX));
  }

  note({ name }: TarEntry): void {
    const folder = /^(.+)\/index\.json$/.exec(name)?.[1];
    if (folder !== undefined) this.#hint = `; it lies in ${printable(folder)}: pack that folder's content`;
    else if (name === 'manifest.json' && this.#hint === '')
      this.#hint = '; it seems to be of "docker save" before 25: "skopeo copy docker-archive:..." pushes it';
  }

  entries(): readonly IndexEntry[] {
    const index = this.#files.get(INDEX_FILE);
    if (index === undefined)
      throw new TransferRefusal(`the archive is no image layout: ${INDEX_FILE} is missing${this.#hint}`);
    return readLayoutIndex(index);
  }
}
