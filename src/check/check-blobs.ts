import { DIGEST_ALGORITHMS, digestAlgorithm, digestFromParts } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { BLOBS_FOLDER, StorageError, hashReader } from '#storage';
import type { ListEntry, RepositoryStore } from '#storage';
import type { CheckedRepository } from './checked-repository.ts';

/** The digest of no bytes, in each algorithm. */
const EMPTY_HEX: ReadonlySet<string> = new Set([
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b',
  'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f' +
    '63b931bd47417a81a538327af927da3e',
]);

/** Looks at every file below `${BLOBS_FOLDER}/`; at its content too, when the check is deep. */
export async function checkBlobs(repo: CheckedRepository): Promise<void> {
  for await (const { name, kind } of repo.list(BLOBS_FOLDER)) {
    const isKnown = kind === 'folder' && (DIGEST_ALGORITHMS as readonly string[]).includes(name);
    if (!isKnown) repo.report('stray-file', { path: `${BLOBS_FOLDER}/${name}` });
    else await checkFolder(repo, name);
  }
}

async function checkFolder(repo: CheckedRepository, algorithm: string): Promise<void> {
  for await (const entry of repo.list(`${BLOBS_FOLDER}/${algorithm}`)) {
    const digest = digestOf(algorithm, entry);
    if (digest === null) repo.report('stray-file', { path: `${BLOBS_FOLDER}/${algorithm}/${entry.name}` });
    else await checkBlob(repo, digest);
    repo.tell();
  }
}

function digestOf(algorithm: string, entry: ListEntry): Digest | null {
  return entry.kind === 'file' ? digestFromParts(algorithm, entry.name) : null;
}

async function checkBlob(repo: CheckedRepository, digest: Digest): Promise<void> {
  repo.totals.blobs += 1;
  // One finding says enough: a file of the wrong size has the wrong digest too.
  if (repo.isReported(digest)) return;
  const stat = await repo.store.statBlob(digest);
  // Removed since it was listed.
  if (stat === null) return;
  if (stat.sizeBytes === 0) {
    if (!EMPTY_HEX.has(digest.slice(digest.indexOf(':') + 1))) repo.reportBlob('blob-empty', digest);
    return;
  }
  if (!repo.deep || repo.isProven(digest)) return;
  const actual = await actualDigest(repo, digest, stat.fingerprint);
  if (actual !== null && actual !== digest)
    repo.reportBlob('blob-wrong-digest', digest, `they have ${actual}`);
}

/** Content that several repositories share by links is read once. */
async function actualDigest(
  repo: CheckedRepository,
  digest: Digest,
  fingerprint: string,
): Promise<Digest | null> {
  const algorithm = digestAlgorithm(digest);
  const key = `${algorithm} ${fingerprint}`;
  const known = repo.hashed.get(key);
  if (known !== undefined) return known;
  const hashed = await hashBlob(repo, digest);
  if (hashed === null) return null;
  repo.totals.bytesRead += hashed.sizeBytes;
  repo.hashed.set(key, hashed.digest);
  return hashed.digest;
}

async function hashBlob(repo: CheckedRepository, digest: Digest): ReturnType<RepositoryStore['hashUpload']> {
  try {
    const reader = await repo.store.openBlob(digest);
    return reader === null ? null : await hashReader(reader, digestAlgorithm(digest));
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    repo.reportBlob('cannot-be-read', digest, error.message);
    return null;
  }
}
