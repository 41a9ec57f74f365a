import type { IndexWriter } from '#metadata';
import { RegistryError } from '#oci/errors';
import { projectManifest } from '#oci/manifest';
import { manifestKind } from '#oci/media-types';
import { StorageError } from '#storage';
import type { RepositoryStore } from '#storage';
import { NO_CHANGE } from './operation.ts';
import type { Operation, Plan } from './operation.ts';

/** As large as the manifests of other tools are read. */
const MANIFEST_SIZE_BYTES_MAX = 16 * 1024 * 1024;

/** Takes in what the manifest `unread` refers to, if nobody could read it before and it can be read now. */
export async function planRefresh(
  operation: Extract<Operation, { kind: 'refresh' }>,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  const digest = operation.unread;
  if (digest === undefined) return NO_CHANGE;
  if ((await index.findUnread(store.name)) === null) return NO_CHANGE;
  const known = await index.findManifest(store.name, { kind: 'digest', digest });
  if (known === null || manifestKind(known.mediaType) === null) return NO_CHANGE;
  const { mediaType } = known;
  try {
    const bytes = await store.readManifest(digest, MANIFEST_SIZE_BYTES_MAX);
    if (bytes === null) return NO_CHANGE;
    const projection = projectManifest(bytes, mediaType);
    return { ...NO_CHANGE, addedManifests: [{ digest, mediaType, sizeBytes: bytes.length, projection }] };
  } catch (error) {
    // It stays as it is: what cannot be read says nothing.
    if (error instanceof RegistryError || error instanceof StorageError) return NO_CHANGE;
    throw error;
  }
}
