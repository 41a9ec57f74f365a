import type { EntryRow, IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import type { RepoName } from '#oci/repo-name';
import { StorageError } from '#storage';
import type { RepositoryStore } from '#storage';
import type { AffectedContent, ImageVerdict } from './scrub-parts.ts';

const PAGE = 200;
/** Contents of one image that are followed; more than any image has. */
const CONTENTS_MAX = 100_000;
const AFFECTED_NAMED_MAX = 100;
const MANIFEST_SIZE_BYTES_MAX = 16 * 1024 * 1024;

/** Judges every entry of a repository's `index.json`, in its order, by what is known of its contents. */
export async function* judgeImages(index: IndexWriter, store: RepositoryStore): AsyncIterable<ImageVerdict> {
  const repository = store.name;
  const state = await index.findRepository(repository);
  if (state !== null && state.problem !== null) {
    const error = `index.json cannot be used: ${state.problem}`;
    yield { repository, tag: '', digest: '', status: 'affected', affected: [{ digest: '', error }] };
  }
  const mayBeAffected = await hasDamage(index, repository);
  for (let afterPosition = -1; ;) {
    const page = await index.listEntries(repository, { afterPosition, limit: PAGE });
    for (const { digest, tag } of page) {
      const affected = mayBeAffected ? await affectedBy(digest, index, store) : [];
      const status = affected.length === 0 ? 'ok' : 'affected';
      yield { repository, tag: tag ?? '', digest, status, affected };
    }
    const last: EntryRow | undefined = page.at(-1);
    if (last === undefined) return;
    afterPosition = last.position;
  }
}

async function hasDamage(index: IndexWriter, repo: RepoName): Promise<boolean> {
  if ((await index.findUnread(repo)) !== null) return true;
  // The algorithm with the smallest name comes first.
  const [first] = await index.listDamage({ after: { repo, digest: '' as Digest }, limit: 1 });
  return first?.repo === repo;
}

/** What is wrong below a manifest, each content once: the manifest, its config, its layers, its children. */
async function affectedBy(
  digest: Digest,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<AffectedContent[]> {
  const affected: AffectedContent[] = [];
  const seen = new Set([digest]);
  for (const content of seen) {
    if (affected.length >= AFFECTED_NAMED_MAX || seen.size > CONTENTS_MAX) break;
    const error = await errorOf(content, index, store);
    if (error !== null) affected.push({ digest: content, error });
    const references = await index.listReferences(store.name, content);
    const order = { config: 0, layer: 1, child: 2 };
    for (const reference of references.toSorted((left, right) => order[left.role] - order[right.role]))
      seen.add(reference.digest);
  }
  return affected;
}

/** In zot's words. */
async function errorOf(digest: Digest, index: IndexWriter, store: RepositoryStore): Promise<string | null> {
  const damage = await index.findDamage(store.name, digest);
  if (damage === null) return (await isReadable(digest, index, store)) ? null : 'invalid manifest content';
  if (damage.kind === 'missing') return 'blob not found';
  return damage.kind === 'unreadable' ? damage.detail : 'bad blob digest';
}

/** Whether a manifest says what it refers to; contents of types that nobody reads are served as they are. */
async function isReadable(digest: Digest, index: IndexWriter, store: RepositoryStore): Promise<boolean> {
  const manifest = await index.findManifest(store.name, { kind: 'digest', digest });
  if (manifest === null || manifestKind(manifest.mediaType) === null) return true;
  if ((await index.listReferences(store.name, digest)).length > 0) return true;
  try {
    const bytes = await store.readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
    if (bytes !== null) projectManifest(bytes, manifest.mediaType);
    return true;
  } catch (error) {
    if (error instanceof RegistryError || error instanceof StorageError) return false;
    throw error;
  }
}
