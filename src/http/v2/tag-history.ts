import type { FastifyRequest } from 'fastify';
import type { Config } from '#config';
import { parseDigest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { OCI_INDEX } from '#oci/media-types';
import { storedTag } from '#oci/reference';
import type { TagEventPage } from '#registry';
import { pageSize, queryValue, referenceTextOf, repoOf, sendJson } from '../context.ts';
import type { DiscoveredExtension, Handler } from '../context.ts';
import { link } from './lists.ts';

/** Entries of a page that is asked for without a number, and of any page. */
const PAGE = 100;
const PAGE_MAX = 1000;

const ANNOTATION = 'org.opencontainers.distribution.tag';

/** As the discovery route lists it. */
export const TAG_HISTORY: DiscoveredExtension = {
  name: '_oci',
  url: 'https://github.com/opencontainers/distribution-spec/pull/606',
  description: 'history of tags',
  endpoints: ['/v2/{name}/_oci/tag-history/{tag}'],
};

/** Whether the history of tags is kept in some store. */
export function keepsHistory({ storage }: Config): boolean {
  return [storage, ...Object.values(storage.subPaths)].some(({ undo }) => (undo ?? 0) > 0);
}

/**
 * GET (proposal for the distribution-spec, pull request 606, as of autumn 2026): an index that lists what a tag named,
 * and each time it was deleted, the newest first; empty for what was never there. 404 where no history is kept.
 */
export const getTagHistory: Handler = async (request, reply, { registry }) => {
  const repo = repoOf(request);
  const tag = storedTag(referenceTextOf(request));
  const limit = Math.min(pageSize(request) ?? PAGE, PAGE_MAX);
  const beforeMs = timeOf(request, 'before') ?? Infinity;
  const sinceMs = timeOf(request, 'since') ?? -1;
  const digestText = queryValue(request, 'digest');
  const digest = digestText === null ? null : parseDigest(digestText);
  const page = await registry.listTagEvents(repo, tag, { beforeMs, sinceMs, digest, limit });
  if (page === null) {
    const message = 'no history of tags is kept here';
    throw new RegistryError('UNSUPPORTED', { status: 404, message, detail: { name: repo } });
  }
  const last = page.events.at(-1);
  if (page.more && last !== undefined) {
    const since = queryValue(request, 'since');
    link(reply, `/v2/${repo}/_oci/tag-history/${encodeURIComponent(tag)}`, {
      n: String(limit),
      before: new Date(last.atMs).toISOString(),
      ...(since === null ? {} : { since }),
      ...(digest === null ? {} : { digest }),
    });
  }
  return sendJson(reply, historyIndex(page), OCI_INDEX);
};

/** The proposal knows two events; what a tag named when it went with its manifest was deleted too. */
function historyIndex(page: TagEventPage): string {
  const manifests = page.events.map(({ kind, mediaType, digest, sizeBytes, atMs }) => ({
    mediaType,
    digest,
    size: sizeBytes,
    annotations: {
      [`${ANNOTATION}.timestamp`]: new Date(atMs).toISOString(),
      [`${ANNOTATION}.event`]:
        kind === 'created' || kind === 'moved' || kind === 'restored' ? 'created' : 'deleted',
    },
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,12})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** A time of the query in milliseconds with fractions, `null` when absent. Throws `REQUEST_INVALID` for no time. */
function timeOf(request: FastifyRequest, name: string): number | null {
  const text = queryValue(request, name);
  if (text === null) return null;
  const match = RFC_3339.exec(text);
  const [, fraction = ''] = match ?? [];
  const wholeMs =
    match === null ? NaN : Date.parse(text.replace(fraction, '').toUpperCase().replace(' ', 'T'));
  const digits = fraction.slice(1).padEnd(3, '0');
  // Milliseconds as whole numbers: as a fraction of a second some of them would not be exact.
  if (!Number.isNaN(wholeMs)) return wholeMs + Number(`${digits.slice(0, 3)}.${digits.slice(3)}`);
  const example = new Date(0).toISOString();
  throw new RegistryError('REQUEST_INVALID', {
    message: `the parameter ${name} is not a time such as ${example}`,
  });
}
