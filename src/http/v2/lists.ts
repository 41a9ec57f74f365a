import type { FastifyReply } from 'fastify';
import { OCI_INDEX } from '#oci/media-types';
import type { ReferrersPage } from '#registry';
import { callerOf } from '../caller.ts';
import { digestOfPath, pageSize, queryValue, queryValues, repoOf, sendJson } from '../context.ts';
import type { Handler } from '../context.ts';

/** Filters of one request; more than any client has types. */
const ARTIFACT_TYPES_MAX = 64;

/** GET (distribution-spec, "Listing Tags"): in byte order, after `last` whether or not that tag exists. */
export const getTags: Handler = async (request, reply, { registry }) => {
  const repo = repoOf(request);
  const limit = pageSize(request);
  const { tags, more } = await registry.listing.tags(repo, {
    last: queryValue(request, 'last') ?? '',
    limit,
  });
  const last = tags.at(-1);
  if (more && last !== undefined)
    link(reply, `/v2/${repo}/tags/list`, { n: String(limit ?? tags.length), last });
  return sendJson(reply, JSON.stringify({ name: repo, tags }));
};

/** GET `_catalog`: repositories that hold something and that the caller may read, in byte order. */
export const getCatalog: Handler = async (request, reply, { registry }) => {
  const caller = callerOf(request);
  const limit = pageSize(request);
  const page = { last: queryValue(request, 'last') ?? '', limit };
  const { repositories, more } = await registry.listing.repositories(page, (repo) => caller.sees(repo));
  const last = repositories.at(-1);
  if (more && last !== undefined)
    link(reply, '/v2/_catalog', { n: String(limit ?? repositories.length), last });
  return sendJson(reply, JSON.stringify({ repositories }));
};

/** GET (distribution-spec, "Listing Referrers"). Never 404: what does not exist has no referrers. */
export const getReferrers: Handler = async (request, reply, { registry }) => {
  const repo = repoOf(request);
  const subject = digestOfPath(request);
  const filters = queryValues(request, 'artifactType');
  const artifactTypes = filters.filter((type) => type !== '').slice(0, ARTIFACT_TYPES_MAX);
  const last = queryValue(request, 'last') ?? '';
  const page = await registry.listing.referrers(repo, subject, { artifactTypes, last });
  if (filters.length > 0) reply.header('oci-filters-applied', 'artifactType');
  const lastDigest = page.referrers.at(-1)?.digest;
  if (page.more && lastDigest !== undefined) {
    const repeated = artifactTypes.map((type) => ['artifactType', type] as const);
    link(reply, `/v2/${repo}/referrers/${subject}`, [...repeated, ['last', lastDigest]]);
  }
  return sendJson(reply, referrersIndex(page), OCI_INDEX);
};

function referrersIndex(page: ReferrersPage): string {
  const manifests = page.referrers.map(({ mediaType, digest, sizeBytes, artifactType, annotations }) => ({
    mediaType,
    digest,
    size: sizeBytes,
    ...(annotations === null ? {} : { annotations }),
    ...(artifactType === null ? {} : { artifactType }),
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

/** A link to the next page (RFC 8288), path only. */
export function link(
  reply: FastifyReply,
  path: string,
  query: Record<string, string> | readonly (readonly [string, string])[],
): void {
  const pairs = Array.isArray(query) ? query.map(([key, value]) => [key, value] as [string, string]) : query;
  const text = new URLSearchParams(pairs as Record<string, string>).toString();
  reply.header('link', `<${path}?${text}>; rel="next"`);
}
