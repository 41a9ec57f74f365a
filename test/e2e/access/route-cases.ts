/** What every route needs, one entry or more for each: a route without an entry fails the suite. */
import {
  imageOf,
  manifestOf,
  pushBlob,
  pushImage,
  startUpload,
  contentOf,
  descriptorOf,
} from '../support/content.ts';
import type { Content } from '../support/content.ts';
import type { Call } from '../support/client.ts';
import type { Served } from '../support/served.ts';
import type { Right } from './worlds.ts';

/**
 * `nothing`: anybody, whatever they offer; `entry`: whoever may ask at all; `name`: somebody who has signed in, also
 * where nothing is configured; the others: that right on the repository.
 */
export type Need = 'nothing' | 'entry' | 'name' | Right;

type Request = Pick<Call, 'method' | 'target' | 'headers' | 'body'>;

export interface Stage {
  readonly repo: string;
  /** Acts as somebody who may do everything; `null` where nobody may. */
  readonly helper: Served | null;
  /** Acts as the caller; for what only they can begin. Used where they may. */
  readonly caller: Served;
}

export interface RouteCase {
  /** `METHOD url`, as the route has it. */
  readonly route: string;
  readonly what: string;
  readonly needs: Need;
  /** The status when it is allowed. */
  readonly ok: number;
  /** Makes the request, and what it needs to succeed. `allowed`: it is going to be let through. */
  readonly request: (stage: Stage, allowed: boolean) => Promise<Request>;
}

/** What every repository of the suite holds from the beginning. */
export const IMAGE = imageOf('access');
export const REFERRER = manifestOf({
  artifactType: 'application/vnd.test',
  config: descriptorOf(IMAGE.config),
  layers: [],
  subject: descriptorOf(IMAGE.manifest),
});

const MANIFEST = '/v2/:name/manifests/:reference';
const BLOB = '/v2/:name/blobs/:digest';
const UPLOADS = '/v2/:name/blobs/uploads/';
const UPLOAD = '/v2/:name/blobs/uploads/:id';
const ABSENT_UPLOAD = '0b9c1a6e-53ab-4b1f-9d0a-5d0e7c1b2a3f';

let count = 0;

function fresh(): string {
  count += 1;
  return `fresh-${count}`;
}

function plain(route: string, what: string, needs: Need, ok = 200): RouteCase {
  const [method = '', url = ''] = route.split(' ');
  return { route, what, needs, ok, request: async ({ repo }) => ({ method, target: targetOf(url, repo) }) };
}

function targetOf(url: string, repo: string): string {
  return url
    .replace(':name', repo)
    .replace(':reference', 'v1')
    .replace(':digest', url.includes('referrers') ? IMAGE.manifest.digest : (IMAGE.layers[0]?.digest ?? ''));
}

/** A manifest whose blobs are in the repository already. */
function freshManifest(): Content {
  return manifestOf({
    config: descriptorOf(IMAGE.config),
    layers: IMAGE.layers.map((layer) => descriptorOf(layer)),
    annotations: { count: fresh() },
  });
}

function putOf(manifest: Content, repo: string, reference: string): Request {
  const headers = { 'content-type': manifest.mediaType };
  return { method: 'PUT', target: `/v2/${repo}/manifests/${reference}`, headers, body: manifest.bytes };
}

/** An upload of the caller's where they may begin one, and an invented one where they may not. */
async function uploadOf({ caller, repo }: Stage, allowed: boolean): Promise<string> {
  return allowed ? startUpload(caller, repo) : `/v2/${repo}/blobs/uploads/${ABSENT_UPLOAD}`;
}

const PUSHES: readonly RouteCase[] = [
  {
    route: `PUT ${MANIFEST}`,
    what: 'a new tag',
    needs: 'create',
    ok: 201,
    request: async ({ repo }) => putOf(freshManifest(), repo, fresh()),
  },
  {
    route: `PUT ${MANIFEST}`,
    what: 'a tag that exists',
    needs: 'update',
    ok: 201,
    request: async ({ repo }) => putOf(freshManifest(), repo, 'moving'),
  },
  {
    route: `PUT ${MANIFEST}`,
    what: 'the same manifest under the same tag',
    needs: 'update',
    ok: 201,
    request: async ({ repo }) => putOf(IMAGE.manifest, repo, 'v1'),
  },
  {
    route: `PUT ${MANIFEST}`,
    what: 'by digest, with a tag that exists',
    needs: 'update',
    ok: 201,
    request: async ({ repo }) => {
      const manifest = freshManifest();
      return putOf(manifest, repo, `${manifest.digest}?tag=moving`);
    },
  },
  {
    route: `PUT ${MANIFEST}`,
    what: 'by digest, without a tag',
    needs: 'create',
    ok: 201,
    request: async ({ repo }) => {
      const manifest = freshManifest();
      return putOf(manifest, repo, manifest.digest);
    },
  },
];

const DELETES: readonly RouteCase[] = [
  {
    route: `DELETE ${MANIFEST}`,
    what: 'a tag',
    needs: 'delete',
    ok: 202,
    request: async ({ repo, helper }, allowed) => {
      const tag = fresh();
      if (allowed && helper !== null) await pushImage(helper, repo, IMAGE, tag);
      return { method: 'DELETE', target: `/v2/${repo}/manifests/${tag}` };
    },
  },
  {
    route: `DELETE ${MANIFEST}`,
    what: 'a manifest',
    needs: 'delete',
    ok: 202,
    request: async ({ repo, helper }, allowed) => {
      const image = imageOf(fresh());
      if (allowed && helper !== null) await pushImage(helper, repo, image, fresh());
      return { method: 'DELETE', target: `/v2/${repo}/manifests/${image.manifest.digest}` };
    },
  },
  {
    route: `DELETE ${BLOB}`,
    what: 'a blob that nothing uses',
    needs: 'delete',
    ok: 202,
    request: async ({ repo, helper }, allowed) => {
      const blob = contentOf(fresh(), 'application/octet-stream');
      if (allowed && helper !== null) await pushBlob(helper, repo, blob);
      return { method: 'DELETE', target: `/v2/${repo}/blobs/${blob.digest}` };
    },
  },
];

const UPLOAD_STEPS: readonly RouteCase[] = [
  plain(`POST ${UPLOADS}`, 'an upload begins', 'create', 202),
  {
    route: `POST ${UPLOADS}`,
    what: 'a blob in one request',
    needs: 'create',
    ok: 201,
    request: async ({ repo }) => {
      const blob = contentOf(fresh(), 'application/octet-stream');
      return { method: 'POST', target: `/v2/${repo}/blobs/uploads/?digest=${blob.digest}`, body: blob.bytes };
    },
  },
  {
    route: `GET ${UPLOAD}`,
    what: 'how far an upload is',
    needs: 'create',
    ok: 204,
    request: async (stage, allowed) => ({ method: 'GET', target: await uploadOf(stage, allowed) }),
  },
  {
    route: `PATCH ${UPLOAD}`,
    what: 'a piece of an upload',
    needs: 'create',
    ok: 202,
    request: async (stage, allowed) => ({
      method: 'PATCH',
      target: await uploadOf(stage, allowed),
      body: 'piece',
    }),
  },
  {
    route: `PUT ${UPLOAD}`,
    what: 'the end of an upload',
    needs: 'create',
    ok: 201,
    request: async (stage, allowed) => {
      const blob = contentOf(fresh(), 'application/octet-stream');
      const target = `${await uploadOf(stage, allowed)}?digest=${blob.digest}`;
      return { method: 'PUT', target, body: blob.bytes };
    },
  },
  {
    route: `DELETE ${UPLOAD}`,
    what: 'an upload is given up',
    needs: 'create',
    ok: 204,
    request: async (stage, allowed) => ({ method: 'DELETE', target: await uploadOf(stage, allowed) }),
  },
];

const SESSIONS: readonly RouteCase[] = [
  // Not served in these worlds: their own suites ask for them.
  plain('GET /zot/auth/login', 'the way to a provider', 'nothing'),
  plain('POST /zot/auth/login', 'the way to a provider', 'nothing'),
  plain('GET /zot/auth/callback/:provider', 'the way back', 'nothing'),
  plain('GET /zot/auth/token', 'a token', 'nothing'),
  plain('POST /zot/auth/token', 'a token by a form', 'nothing'),
  plain('POST /zot/auth/logout', 'signing out', 'nothing'),
  plain('GET /zot/auth/apikey', 'the keys of the caller', 'name'),
  {
    ...plain('POST /zot/auth/apikey', 'a new key', 'name', 201),
    request: async () => ({ method: 'POST', target: '/zot/auth/apikey', body: '{"label":"x"}' }),
  },
  {
    ...plain('DELETE /zot/auth/apikey', 'a key that is not there', 'name', 404),
    request: async () => ({ method: 'DELETE', target: '/zot/auth/apikey?id=none' }),
  },
];

const EXTENSIONS: readonly RouteCase[] = [
  plain('GET /v2/_zot/ext/mgmt', 'how one signs in', 'nothing'),
  plain('GET /v2/_zot/ext/quotas', 'the quotas of the caller', 'entry'),
  {
    route: 'DELETE /v2/_zot/ext/repository',
    what: 'a whole repository',
    needs: 'delete',
    ok: 200,
    request: async ({ repo, helper }, allowed) => {
      const name = `${repo}/${fresh()}`;
      if (allowed && helper !== null) await pushImage(helper, name, IMAGE, 'v1');
      return { method: 'DELETE', target: `/v2/_zot/ext/repository?name=${name}` };
    },
  },
  {
    // Whoever may delete in these worlds may read and create too.
    route: 'POST /v2/_zot/ext/repository/rename',
    what: 'another name for a repository',
    needs: 'delete',
    ok: 200,
    request: async ({ repo, helper }, allowed) => {
      const name = `${repo}/${fresh()}`;
      if (allowed && helper !== null) await pushImage(helper, name, IMAGE, 'v1');
      return { method: 'POST', target: `/v2/_zot/ext/repository/rename?name=${name}&to=${repo}/${fresh()}` };
    },
  },
];

export const ROUTE_CASES: readonly RouteCase[] = [
  plain('GET /livez', 'alive', 'nothing'),
  plain('GET /readyz', 'ready', 'nothing'),
  plain('GET /startupz', 'started', 'nothing'),
  plain('GET /v2/', 'the version', 'entry'),
  plain('HEAD /v2/', 'the version', 'entry'),
  plain('GET /v2/_catalog', 'repositories', 'entry'),
  plain('GET /v2/_oci/ext/discover', 'extensions', 'entry'),
  plain('GET /v2/:name/tags/list', 'tags', 'read'),
  plain('GET /v2/:name/_oci/tag-history/:reference', 'the history of a tag', 'read'),
  plain('GET /v2/:name/referrers/:digest', 'referrers', 'read'),
  plain(`GET ${MANIFEST}`, 'a manifest', 'read'),
  plain(`HEAD ${MANIFEST}`, 'a manifest', 'read'),
  plain(`GET ${BLOB}`, 'a blob', 'read'),
  plain(`HEAD ${BLOB}`, 'a blob', 'read'),
  {
    route: `GET ${BLOB}`,
    what: 'a part of a blob',
    needs: 'read',
    ok: 206,
    request: async ({ repo }) => ({
      method: 'GET',
      target: targetOf(BLOB, repo),
      headers: { range: 'bytes=0-1' },
    }),
  },
  ...PUSHES,
  ...DELETES,
  ...UPLOAD_STEPS,
  ...SESSIONS,
  ...EXTENSIONS,
];
