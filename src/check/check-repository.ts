import { isJsonObject } from '#oci/descriptor';
import type { RepoName } from '#oci/repo-name';
import { INDEX_FILE, LAYOUT_FILE, StorageError, UPLOADS_FOLDER, parseIndexFile } from '#storage';
import type { IndexFile } from '#storage';
import { checkBlobs } from './check-blobs.ts';
import { checkManifests } from './check-manifests.ts';
import { CheckedRepository } from './checked-repository.ts';
import type { CheckParts } from './checked-repository.ts';
import type { Finding } from './finding.ts';
import { repeatedMembers } from './json-members.ts';

/** As large as a registry reads it. */
const INDEX_SIZE_BYTES_MAX = 256 * 1024 * 1024;
const LAYOUT_SIZE_BYTES_MAX = 64 * 1024;
/** Times a repository is looked at again because somebody changed it meanwhile. */
const ATTEMPTS_MAX = 4;

/** Whether the registry once served something from a repository; `null`: nobody knows. */
export type Remembers = (repo: string) => boolean | null;

/**
 * Looks at one repository. A running registry may change it meanwhile: then it is looked at again, and where it never
 * rests, what was found both times counts.
 */
export async function checkRepository(
  name: RepoName,
  parts: CheckParts,
  remembers: Remembers,
): Promise<readonly Finding[]> {
  const before = { ...parts.totals };
  let last: ReadonlySet<string> = new Set();
  for (let attempt = 1; ; attempt += 1) {
    const repo = new CheckedRepository(name, parts);
    const version = (await repo.store.statIndex())?.fingerprint;
    await examine(repo, remembers);
    const isSame = (await repo.store.statIndex())?.fingerprint === version;
    const { findings } = repo;
    if (isSame || findings.length === 0) return findings;
    if (attempt === ATTEMPTS_MAX) return findings.filter((finding) => last.has(keyOf(finding)));
    last = new Set(findings.map(keyOf));
    Object.assign(parts.totals, before);
  }
}

function keyOf({ kind, path }: Finding): string {
  return `${kind} ${path}`;
}

async function examine(repo: CheckedRepository, remembers: Remembers): Promise<void> {
  try {
    const index = await examineIndex(repo, remembers);
    if (index !== null) {
      await examineLayoutFile(repo);
      await checkManifests(repo, index.entries);
    }
    await checkBlobs(repo);
    await examineUploads(repo);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    repo.report('cannot-be-read', { path: error.path.slice(repo.name.length + 1), detail: error.message });
  }
}

async function examineIndex(repo: CheckedRepository, remembers: Remembers): Promise<IndexFile | null> {
  const read = await readIndex(repo);
  if (read === null) {
    await reportNoIndex(repo, remembers);
    return null;
  }
  if (typeof read === 'string') {
    repo.report('index-unusable', { path: INDEX_FILE, detail: read });
    return null;
  }
  const { text, index } = read;
  for (const name of repeatedMembers(text)) {
    repo.report('index-repeats-member', { path: INDEX_FILE, detail: `"${name}"` });
  }
  for (const unreadable of index.unreadable) {
    repo.report('descriptor-unreadable', { path: INDEX_FILE, detail: unreadable.slice(0, 300) });
  }
  reportRepeatedTags(repo, index);
  return index;
}

/** The file as text and as what it says; why it cannot be used; `null` when there is none. */
async function readIndex(
  repo: CheckedRepository,
): Promise<{ text: string; index: IndexFile } | string | null> {
  try {
    const bytes = await repo.readFile(INDEX_FILE, INDEX_SIZE_BYTES_MAX);
    if (bytes === null) return null;
    const index = parseIndexFile(bytes);
    return typeof index === 'string' ? index : { text: bytes.toString('utf8'), index };
  } catch (error) {
    if (error instanceof StorageError && error.fault === 'invalid') return 'it is larger than 256 MiB';
    throw error;
  }
}

/** Blobs alone are what uploads leave before the first manifest comes. */
async function reportNoIndex(repo: CheckedRepository, remembers: Remembers): Promise<void> {
  const layout = await repo.readFile(LAYOUT_FILE, LAYOUT_SIZE_BYTES_MAX);
  const remembered = remembers(repo.name);
  if (remembered === true || (layout !== null && remembered === null)) {
    repo.report('index-missing', { path: INDEX_FILE });
  } else if (layout !== null) repo.report('first-push-interrupted', { path: INDEX_FILE });
}

function reportRepeatedTags(repo: CheckedRepository, index: IndexFile): void {
  const seen = new Set<string>();
  for (const { tag } of index.entries) {
    if (tag === null) continue;
    if (seen.has(tag)) repo.report('tag-repeated', { path: INDEX_FILE, detail: `"${tag.slice(0, 200)}"` });
    seen.add(tag);
  }
}

async function examineLayoutFile(repo: CheckedRepository): Promise<void> {
  const bytes = await repo.readFile(LAYOUT_FILE, LAYOUT_SIZE_BYTES_MAX);
  if (bytes === null) repo.report('layout-missing', { path: LAYOUT_FILE });
  else if (layoutVersion(bytes) !== '1.0.0') repo.report('layout-invalid', { path: LAYOUT_FILE });
}

function layoutVersion(bytes: Buffer): unknown {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return isJsonObject(parsed) ? parsed.imageLayoutVersion : null;
  } catch {
    // What is no JSON has no version.
    return null;
  }
}

async function examineUploads(repo: CheckedRepository): Promise<void> {
  let count = 0;
  for await (const { kind } of repo.list(UPLOADS_FOLDER)) if (kind === 'file') count += 1;
  if (count > 0) repo.report('uploads-left', { path: UPLOADS_FOLDER, detail: String(count) });
}
