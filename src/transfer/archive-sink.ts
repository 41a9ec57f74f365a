import { createHash } from 'node:crypto';
import { digestAlgorithm, digestHex, digestSoFar } from '#oci/digest';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { FRESH_HEAD, INDEX_FILE, LAYOUT_FILE, LAYOUT_TEXT } from '#storage';
import type { FileReader, IndexEntry } from '#storage';
import { piecesOf } from './blob-intake.ts';
import { withImageName } from './layout-index.ts';
import type { LayoutSink, SizedBlob } from './layout-sink.ts';
import { TransferRefusal } from './refusal.ts';
import type { Tally } from './tally.ts';
import { TarWriter } from './tar-writer.ts';
import type { ByteSink } from './tar-writer.ts';

/**
 * A layout as a tar archive, written once from the beginning to the end. `index.json` comes last, when it is known
 * what is complete: an archive without it names nothing.
 */
export class ArchiveSink implements LayoutSink {
  isBroken = false;
  #tar: TarWriter;
  #tally: Tally;

  constructor(write: ByteSink, tally: Tally) {
    this.#tar = new TarWriter(write);
    this.#tally = tally;
  }

  async begin(): Promise<void> {
    await this.#tar.add(LAYOUT_FILE, LAYOUT_TEXT);
    await this.#tar.add('blobs/');
    await this.#tar.add('blobs/sha256/');
  }

  /** What was written cannot be looked at again; what was carried by this run is remembered by the walk. */
  async holds(): Promise<boolean> {
    return false;
  }

  async putBlob({ digest, sizeBytes }: SizedBlob, reader: FileReader): Promise<void> {
    const hash = createHash(digestAlgorithm(digest));
    // From here on the archive holds what is written, whatever it is.
    this.isBroken = true;
    await this.#tar.stream(nameOf(digest), sizeBytes, async (write) => {
      for await (const piece of piecesOf(reader)) {
        hash.update(piece);
        await write(piece);
        this.#tally.add({ bytesCopied: piece.length });
      }
    });
    if (digestSoFar(hash, digestAlgorithm(digest)) !== digest)
      throw new TransferRefusal(`the blob ${digest} is damaged: its bytes have another digest`);
    this.isBroken = false;
  }

  putManifest(digest: Digest, bytes: Buffer): Promise<void> {
    return this.#tar.add(nameOf(digest), bytes);
  }

  async finish(entries: readonly IndexEntry[], repo: RepoName): Promise<void> {
    const texts = entries.map((entry) => withImageName(entry, repo));
    await this.#tar.add(INDEX_FILE, Buffer.from(`${FRESH_HEAD},"manifests":[${texts.join(',')}]}`));
    await this.#tar.end();
  }
}

function nameOf(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}
