import type { FastifyRequest } from 'fastify';
import type { Digest } from '#oci/digest';

/** Whether the client has this content already: `If-None-Match` (RFC 9110 section 13.1.2), the digest being the tag. */
export function isNotModified(request: FastifyRequest, digest: Digest): boolean {
  const header = request.headers['if-none-match'];
  return header !== undefined && matches(header, digest);
}

/** Whether a range still fits: `If-Range` absent, or naming this content (RFC 9110 section 13.1.5). */
export function rangeApplies(request: FastifyRequest, digest: Digest): boolean {
  const header = request.headers['if-range'];
  return header === undefined || header === `"${digest}"`;
}

function matches(header: string, digest: Digest): boolean {
  return header.split(',').some((part) => {
    const tag = part.trim().replace(/^W\//, '');
    // Clients that know digests send them bare.
    return tag === '*' || tag === `"${digest}"` || tag === digest;
  });
}
