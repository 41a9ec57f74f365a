/**
 * The one place where paths of the store are built, from parsed types only.
 *
 *   <root of a store>
 *   ├── _zot/                              ours: index.db, records.db, the lock (never on object stores)
 *   └── <repository, with "/">/            one OCI image layout each; repositories may nest
 *       ├── oci-layout
 *       ├── index.json
 *       ├── blobs/<algorithm>/<hex>        configs, layers, manifests and indexes
 *       └── .uploads/
 *           ├── <uuid>                     an upload session, as zot names it
 *           └── .stage-<uuid>              bytes that will be renamed to their place
 *
 * The folder of a repository may exist before the repository does: uploads and finished blobs are there
 * first, and `index.json` makes it a repository. `oci-layout` is written before it, for other tools.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { digestAlgorithm, digestHex } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import type { UploadId } from '#oci/upload-id';

export const OWN_FOLDER = '_zot';
export const UPLOADS_FOLDER = '.uploads';
export const BLOBS_FOLDER = 'blobs';
export const INDEX_FILE = 'index.json';
export const LAYOUT_FILE = 'oci-layout';
const STAGE_PREFIX = '.stage-';
/** Tells what this process stages from what an earlier one left behind. */
const OWN_STAGE_PREFIX = `${STAGE_PREFIX}${randomBytes(6).toString('hex')}-`;

/** Whether a file of the uploads folder was staged by a process that is gone. */
export function isAbandonedStage(name: string): boolean {
  return name.startsWith(STAGE_PREFIX) && !name.startsWith(OWN_STAGE_PREFIX);
}

export function indexPath(repo: RepoName): string {
  return `${repo}/${INDEX_FILE}`;
}

export function layoutPath(repo: RepoName): string {
  return `${repo}/${LAYOUT_FILE}`;
}

export function blobFolder(repo: RepoName, algorithm: DigestAlgorithm): string {
  return `${repo}/${BLOBS_FOLDER}/${algorithm}`;
}

export function blobPath(repo: RepoName, digest: Digest): string {
  return `${repo}/${BLOBS_FOLDER}/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

export function uploadsFolder(repo: RepoName): string {
  return `${repo}/${UPLOADS_FOLDER}`;
}

export function uploadPath(repo: RepoName, id: UploadId): string {
  return `${repo}/${UPLOADS_FOLDER}/${id}`;
}

export function newStagingPath(repo: RepoName): string {
  return `${repo}/${UPLOADS_FOLDER}/${OWN_STAGE_PREFIX}${randomUUID()}`;
}
