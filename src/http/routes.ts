import type { Config } from '#config';
import type { Handler } from './context.ts';
import { getLive, getReady, getStarted } from './health.ts';
import { getBase, getDiscover } from './v2/base.ts';
import { deleteBlob, getBlob, headBlob } from './v2/blobs.ts';
import { getCatalog, getReferrers, getTags } from './v2/lists.ts';
import { deleteManifest, getManifest, headManifest, putManifest } from './v2/manifests.ts';
import { QUOTAS_URL, getQuotas } from './zot/quotas.ts';
import { getTagHistory, keepsHistory } from './v2/tag-history.ts';
import { REPOSITORY_URL, RENAME_URL, deleteRepository, renameRepository } from './zot/repositories.ts';
import { deleteUpload, getUpload, patchUpload, postUpload, putUpload } from './v2/uploads.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * What a caller must be allowed. `public`: nobody is asked who they are; `anyone`: identified, or anonymous where
 * some policy is for anonymous callers, and the handler filters; `signedIn`: somebody with a name, also where nothing
 * is configured; `admin`, `metrics`: as the policies say; the others: that action on the repository of the path.
 */
export type Permission =
  | 'public'
  | 'anyone'
  | 'signedIn'
  | 'admin'
  | 'metrics'
  | 'read'
  | 'create'
  | 'createOrUpdate'
  | 'delete';

/** A route is a record: what matches, who may, what answers. */
export interface Route {
  readonly method: Method;
  readonly url: string;
  readonly permission: Permission;
  readonly handler: Handler;
  /** Whether the configuration in force switches it on; absent: always served. */
  readonly isConfigured?: (config: Config) => boolean;
}

const MANIFEST = '/v2/:name/manifests/:reference';
const BLOB = '/v2/:name/blobs/:digest';
const UPLOADS = '/v2/:name/blobs/uploads/';
const UPLOAD = '/v2/:name/blobs/uploads/:id';

const hasQuotas = ({ storage }: Config): boolean => storage.quotas.length > 0;

/** Every route of the core. `:name` is one segment: see `rewrite-url.ts`. */
export const ROUTES: readonly Route[] = [
  { method: 'GET', url: '/livez', permission: 'public', handler: getLive },
  { method: 'GET', url: '/readyz', permission: 'public', handler: getReady },
  { method: 'GET', url: '/startupz', permission: 'public', handler: getStarted },
  { method: 'GET', url: '/v2/', permission: 'anyone', handler: getBase },
  { method: 'HEAD', url: '/v2/', permission: 'anyone', handler: getBase },
  { method: 'GET', url: '/v2/_catalog', permission: 'anyone', handler: getCatalog },
  { method: 'GET', url: '/v2/_oci/ext/discover', permission: 'anyone', handler: getDiscover },
  { method: 'GET', url: QUOTAS_URL, permission: 'anyone', handler: getQuotas, isConfigured: hasQuotas },
  { method: 'DELETE', url: REPOSITORY_URL, permission: 'anyone', handler: deleteRepository },
  { method: 'POST', url: RENAME_URL, permission: 'anyone', handler: renameRepository },
  { method: 'GET', url: '/v2/:name/tags/list', permission: 'read', handler: getTags },
  { method: 'GET', url: '/v2/:name/referrers/:digest', permission: 'read', handler: getReferrers },
  {
    method: 'GET',
    url: '/v2/:name/_oci/tag-history/:reference',
    permission: 'read',
    handler: getTagHistory,
    isConfigured: keepsHistory,
  },
  { method: 'GET', url: MANIFEST, permission: 'read', handler: getManifest },
  { method: 'HEAD', url: MANIFEST, permission: 'read', handler: headManifest },
  { method: 'PUT', url: MANIFEST, permission: 'createOrUpdate', handler: putManifest },
  { method: 'DELETE', url: MANIFEST, permission: 'delete', handler: deleteManifest },
  { method: 'GET', url: BLOB, permission: 'read', handler: getBlob },
  { method: 'HEAD', url: BLOB, permission: 'read', handler: headBlob },
  { method: 'DELETE', url: BLOB, permission: 'delete', handler: deleteBlob },
  { method: 'POST', url: UPLOADS, permission: 'create', handler: postUpload },
  { method: 'GET', url: UPLOAD, permission: 'create', handler: getUpload },
  { method: 'PATCH', url: UPLOAD, permission: 'create', handler: patchUpload },
  { method: 'PUT', url: UPLOAD, permission: 'create', handler: putUpload },
  { method: 'DELETE', url: UPLOAD, permission: 'create', handler: deleteUpload },
];
