import type { FastifyReply, FastifyRequest } from 'fastify';
import { RegistryError } from '#oci/errors';
import { mediaTypeOf } from '#oci/media-types';
import { parsePushReference, parseTag, readReference } from '#oci/reference';
import type { Reference, Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import { answerWithBytes } from '../answer-with-bytes.ts';
import { contentLength, wholeBody } from '../body.ts';
import { callerOf } from '../caller.ts';
import type { Caller } from '../caller.ts';
import { isNotModified } from '../conditional.ts';
import { bodySource, queryValues, referenceTextOf, repoOf } from '../context.ts';
import type { Handler, Services } from '../context.ts';

/** As zot: more tags than this in one push are refused. */
const TAGS_MAX = 46;
const IMMUTABLE = 'private, max-age=31536000, immutable';

/** GET (distribution-spec, "Pulling manifests"): the bytes as they were pushed, whatever `Accept` says. */
export const getManifest: Handler = async (request, reply, { registry }) => {
  const reference = readReference(referenceTextOf(request));
  const { digest, mediaType, bytes } = await registry.pullManifest(repoOf(request), reference);
  if (isNotModified(request, digest)) return reply.code(304).headers(cacheHeaders(reference, digest)).send();
  return answerWithBytes(request, reply, bytes, {
    ...cacheHeaders(reference, digest),
    'content-type': mediaType,
    'docker-content-digest': digest,
  });
};

/** HEAD: as GET, without bytes; not counted as a pull. */
export const headManifest: Handler = async (request, reply, { registry }) => {
  const reference = readReference(referenceTextOf(request));
  const { digest, mediaType, sizeBytes } = await registry.statManifest(repoOf(request), reference);
  if (isNotModified(request, digest)) return reply.code(304).headers(cacheHeaders(reference, digest)).send();
  return reply
    .headers({
      ...cacheHeaders(reference, digest),
      'content-type': mediaType,
      'content-length': sizeBytes,
      'docker-content-digest': digest,
    })
    .send();
};

function cacheHeaders(reference: Reference, digest: string): Record<string, string> {
  const etag = `"${digest}"`;
  // What a digest names never changes; what a tag names has to be asked for each time.
  return reference.kind === 'digest'
    ? { etag, 'cache-control': IMMUTABLE }
    : { etag, 'cache-control': 'no-cache' };
}

/** PUT (distribution-spec, "Pushing Manifests"). */
export const putManifest: Handler = async (request, reply, services) => {
  const repo = repoOf(request);
  const reference = parsePushReference(referenceTextOf(request));
  const mediaType = acceptedType(request, services);
  const tags = furtherTags(request, reference);
  const caller = callerOf(request);
  const rights = caller.pushRights(repo, reference, tags);
  const bytes = await wholeBody(bodySource(request, reply, services), {
    announcedBytes: contentLength(request.raw),
    sizeBytesMax: services.manifestSizeBytesMax,
    tooLarge: () => manifestTooLarge(services.manifestSizeBytesMax),
  });
  const by = caller.identity.username;
  const push = { repo, reference, mediaType, bytes, tags, by, ...(rights === null ? {} : { rights }) };
  const pushed = await services.registry.pushManifest(push).catch((error: unknown) => {
    throw refusalOf(error, caller, repo) ?? error;
  });
  reply.code(201).headers({
    location: `/v2/${repo}/manifests/${pushed.digest}`,
    'docker-content-digest': pushed.digest,
  });
  if (pushed.subject !== null) reply.header('oci-subject', pushed.subject);
  if (tags.length > 0) reply.header('oci-tag', [...tags]);
  return reply.send();
};

/** A push that meets an existing tag and may not move it is refused as any other: 401 or 403, with the reason. */
function refusalOf(error: unknown, caller: Caller, repo: RepoName): RegistryError | null {
  if (!(error instanceof RegistryError) || error.code !== 'DENIED') return null;
  const { action, reference } = error.detail ?? {};
  if (action !== 'create' && action !== 'update') return null;
  return caller.refusal(repo, action, String(reference));
}

function acceptedType(request: FastifyRequest, services: Services): string {
  const mediaType = mediaTypeOf(request.headers['content-type']);
  if (services.acceptedTypes.has(mediaType)) return mediaType;
  const docker = mediaType.startsWith('application/vnd.docker.distribution.manifest.');
  const hint =
    docker && !mediaType.includes('.v1+') ? '; "http": {"compat": ["docker2s2"]} makes it accepted' : '';
  throw new RegistryError('MANIFEST_INVALID', {
    status: 415,
    message: `manifest invalid: the Content-Type is not an accepted manifest type${hint}`,
    detail: { mediaType: mediaType.slice(0, 200) },
  });
}

/** The parameter `tag`, which may be repeated, of a push by digest. */
function furtherTags(request: FastifyRequest, reference: Reference): Tag[] {
  const values = queryValues(request, 'tag');
  if (values.length === 0) return [];
  if (values.length > TAGS_MAX) {
    const reason = `at most ${TAGS_MAX} tags can be pushed at once`;
    throw new RegistryError('MANIFEST_INVALID', { status: 414, detail: { reason } });
  }
  if (reference.kind === 'tag') {
    throw new RegistryError('MANIFEST_INVALID', {
      detail: { reason: 'tag parameters go with a push by digest' },
    });
  }
  return [...new Set(values.map((value) => parseTag(value.trim())))];
}

function manifestTooLarge(sizeBytesMax: number): RegistryError {
  const reason = `it is larger than ${sizeBytesMax} bytes`;
  const message = `manifest invalid: ${reason}`;
  return new RegistryError('MANIFEST_INVALID', { status: 413, message, detail: { reason } });
}

/** DELETE of a tag, or of a manifest with all its tags (distribution-spec, "Content Management"). */
export const deleteManifest: Handler = async (request, reply: FastifyReply, { registry }) => {
  const repo = repoOf(request);
  const reference = readReference(referenceTextOf(request));
  const caller = callerOf(request);
  const tagsMax = caller.tagsDeletedAtOnce(repo, reference);
  await registry.deleteManifest(repo, reference, tagsMax, caller.identity.username);
  return reply.code(202).send();
};
