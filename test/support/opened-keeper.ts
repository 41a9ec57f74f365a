import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openIndexForWriting, openRecords, type IndexWriter, type Records } from '#metadata';
import { digestOf, type Digest } from '#oci/digest';
import { projectManifest } from '#oci/manifest';
import { OCI_INDEX, OCI_MANIFEST } from '#oci/media-types';
import { parseTag } from '#oci/reference';
import { parseRepoName, type RepoName } from '#oci/repo-name';
import { LocalKeeper, type ManifestPush } from '#registry';
import { Storage, type RepositoryStore, type StorageDriver } from '#storage';
import { MemoryDriver } from '../../src/storage/drivers/memory.ts';

/** A keeper with real databases in a temporary folder and blobs in memory. */
export interface OpenedKeeper {
  readonly keeper: LocalKeeper;
  readonly index: IndexWriter;
  readonly records: Records;
  readonly storage: Storage;
  readonly repo: RepoName;
  readonly store: RepositoryStore;
  /** What was reported as damage or trouble. */
  readonly reports: string[];
  /** Stores a blob and gives its descriptor. */
  putBlob(text: string, mediaType?: string): Promise<PlainDescriptor>;
  close(): Promise<void>;
}

export interface PlainDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export async function openKeeper(
  driver: StorageDriver = new MemoryDriver(),
  nowMs: () => number = Date.now,
): Promise<OpenedKeeper> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-keeper-'));
  const index = openIndexForWriting(folder, (reason) => {
    throw new Error(`the new index cannot be used: ${reason}`);
  });
  const records = openRecords(folder);
  const storage = new Storage([{ route: '', driver, durable: false }]);
  const reports: string[] = [];
  const keeper = new LocalKeeper({
    storage,
    index,
    records,
    nowMs,
    report: (repo, digest, problem) => void reports.push(`${repo} ${digest}: ${problem}`),
  });
  const repo = parseRepoName('unit/test');
  const store = storage.repository(repo);
  return {
    keeper,
    index,
    records,
    storage,
    repo,
    store,
    reports,
    putBlob: (text, mediaType = 'application/octet-stream') => putBlob(keeper, store, text, mediaType),
    async close() {
      await keeper.close();
      await Promise.all([index.close(), records.close(), storage.close()]);
      await rm(folder, { recursive: true });
    },
  };
}

async function putBlob(
  keeper: LocalKeeper,
  store: RepositoryStore,
  text: string,
  mediaType: string,
): Promise<PlainDescriptor> {
  const bytes = Buffer.from(text);
  const digest = digestOf(bytes);
  const { id, writer } = await store.startUploadWriter('sha256');
  await writer.append(bytes);
  await writer.flush();
  await writer.close();
  await keeper.finishUpload({ repo: store.name, id }, { digest, sizeBytes: bytes.length });
  return { mediaType, digest, size: bytes.length };
}

/** The push of an image manifest or, with `manifests`, of an index. */
export function pushOf(
  repo: RepoName,
  members: Record<string, unknown>,
  tags: readonly string[] = [],
): ManifestPush {
  const mediaType = 'manifests' in members ? OCI_INDEX : OCI_MANIFEST;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...members }));
  const projection = projectManifest(bytes, mediaType);
  return { repo, digest: digestOf(bytes), mediaType, bytes, tags: tags.map(parseTag), projection };
}

/** The descriptor by which an index lists what was pushed. */
export function childOf(push: ManifestPush): PlainDescriptor {
  return { mediaType: push.mediaType, digest: push.digest, size: push.bytes.length };
}
