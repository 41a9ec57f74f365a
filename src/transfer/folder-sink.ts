import { digestAlgorithm } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { FRESH_HEAD, hashReader, parseIndexFile } from '#storage';
import type { FileReader, IndexEntry, RepositoryStore } from '#storage';
import { piecesOf } from './blob-intake.ts';
import type { LayoutSink, SizedBlob } from './layout-sink.ts';
import { TransferRefusal, printable } from './refusal.ts';
import type { Tally } from './tally.ts';

/**
 * A layout in a folder. Each blob is complete and durable before it gets its name, and index.json is replaced last,
 * so that the folder is a valid layout at any moment and an export that was interrupted goes on where it was.
 */
export class FolderSink implements LayoutSink {
  readonly isBroken = false;
  #layout: RepositoryStore;
  #tally: Tally;

  constructor(layout: RepositoryStore, tally: Tally) {
    this.#layout = layout;
    this.#tally = tally;
  }

  /** Removes what an export that was killed left half written. */
  async begin(): Promise<void> {
    await this.#layout.removeStaged();
    for await (const id of this.#layout.listUploads()) await this.#layout.cancelUpload(id);
  }

  async holds({ digest, sizeBytes }: SizedBlob): Promise<boolean> {
    const reader = await this.#layout.openBlob(digest);
    if (reader === null) return false;
    if (reader.sizeBytes === sizeBytes)
      return (await hashReader(reader, digestAlgorithm(digest))).digest === digest;
    await reader.close();
    return false;
  }

  async putBlob({ digest }: SizedBlob, reader: FileReader): Promise<void> {
    const { id, writer } = await this.#layout.startUploadWriter(digestAlgorithm(digest));
    try {
      try {
        for await (const piece of piecesOf(reader)) {
          const { length } = piece;
          await writer.append(piece);
          this.#tally.add({ bytesCopied: length });
        }
        await writer.sync();
      } finally {
        await writer.close();
      }
      if (writer.digest() !== digest)
        throw new TransferRefusal(`the blob ${digest} is damaged: its bytes have another digest`);
      await this.#layout.finishUpload(id, digest);
    } catch (error) {
      await this.#layout.cancelUpload(id);
      throw error;
    }
  }

  putManifest(digest: Digest, bytes: Buffer): Promise<void> {
    return this.#layout.putManifest(digest, bytes);
  }

  /** Writes index.json: what was there stays, but for the tags and manifests that come in. */
  async finish(entries: readonly IndexEntry[]): Promise<void> {
    const before = await this.#layout.readIndex();
    const index = before === null ? null : parseIndexFile(before.bytes);
    if (typeof index === 'string')
      throw new TransferRefusal(`index.json of the target cannot be used: ${printable(index)}`);
    const kept = keptEntries(index?.entries ?? [], entries);
    const texts = [...(index?.unreadable ?? []), ...[...kept, ...entries].map(({ json }) => json)];
    const text = `${index?.head ?? FRESH_HEAD},"manifests":[${texts.join(',')}]}`;
    await this.#layout.replaceIndex([Buffer.from(text)], before?.stat.fingerprint ?? null);
    await this.#layout.removeEmptyFolders();
  }
}

function keptEntries(before: readonly IndexEntry[], entries: readonly IndexEntry[]): IndexEntry[] {
  const tags = new Set(entries.map(({ tag }) => tag).filter((tag) => tag !== null));
  const digests = new Set(entries.map(({ descriptor }) => descriptor.digest));
  return before.filter(({ tag, descriptor }) =>
    tag === null ? !digests.has(descriptor.digest) : !tags.has(tag),
  );
}
