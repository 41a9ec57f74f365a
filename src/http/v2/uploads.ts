import type { FastifyReply, FastifyRequest } from 'fastify';
import { isDigest, parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import type { UploadBody } from '#registry';
import { contentLength, hasBody } from '../body.ts';
import { callerOf } from '../caller.ts';
import { bodySource, queryValue, repoOf, uploadIdOf } from '../context.ts';
import type { Handler, Services } from '../context.ts';
import { parseContentRange } from '../range.ts';

/**
 * POST: mounts a blob, takes one whole, or begins a session (distribution-spec, "Mounting a blob from another
 * repository", "Single POST", "POST then PUT").
 */
export const postUpload: Handler = async (request, reply, services) => {
  const repo = repoOf(request);
  const caller = callerOf(request);
  const mount = queryValue(request, 'mount');
  const from = queryValue(request, 'from');
  const digest = queryValue(request, 'digest');
  // What names no blob or no repository cannot be mounted: the client is asked to upload instead.
  if (mount !== null && isDigest(mount) && (from === null || from === '' || isRepoName(from))) {
    const mayRead = (source: RepoName): boolean => caller.may(source, 'read');
    const mounted = await services.registry.mountBlob(repo, mount, from === '' ? null : from, mayRead);
    if (mounted) return created(reply, repo, mount);
  }
  if (digest !== null) {
    const wanted = parseDigest(digest);
    const id = await services.registry.uploads.pushWhole(repo, wanted, wholeUpload(request, reply, services));
    reply.header('blob-upload-uuid', id);
    return created(reply, repo, wanted);
  }
  const id = await services.registry.uploads.start(repo, caller.uploadOwner);
  return progress(reply, 202, { repo, id }, 0);
};

/** PATCH (distribution-spec, "Pushing a blob in chunks"): with Content-Range a chunk in order, without one a stream. */
export const patchUpload: Handler = async (request, reply, services) => {
  const upload = uploadOf(request, services);
  const body = chunkOf(request, reply, services);
  const sizeBytes = await services.registry.uploads.append(upload, body);
  return progress(reply, 202, upload, sizeBytes);
};

/** PUT: ends a session, with a last piece in its body or with none. */
export const putUpload: Handler = async (request, reply, services) => {
  const upload = uploadOf(request, services);
  const digest = queryValue(request, 'digest');
  if (digest === null)
    throw new RegistryError('DIGEST_INVALID', { message: 'the parameter digest is missing' });
  const wanted = parseDigest(digest);
  const body = hasBody(request.raw) ? chunkOf(request, reply, services) : null;
  await services.registry.uploads.finish(upload, wanted, body);
  return created(reply, upload.repo, wanted);
};

/** GET: how far a session is, so that a client can resume. */
export const getUpload: Handler = async (request, reply, services) => {
  const upload = uploadOf(request, services);
  return progress(reply, 204, upload, await services.registry.uploads.sizeBytes(upload));
};

/** DELETE: ends a session for nothing. */
export const deleteUpload: Handler = async (request, reply, services) => {
  await services.registry.uploads.cancel(uploadOf(request, services));
  return reply.code(204).send();
};

type Upload = { readonly repo: RepoName; readonly id: ReturnType<typeof uploadIdOf> };

/** The upload of the path; to anybody but whoever began it, it does not exist. */
function uploadOf(request: FastifyRequest, { registry }: Services): Upload {
  const upload = { repo: repoOf(request), id: uploadIdOf(request) };
  registry.uploads.requireOwner(upload, callerOf(request).uploadOwner);
  return upload;
}

function wholeUpload(request: FastifyRequest, reply: FastifyReply, services: Services): UploadBody {
  const sizeBytes = contentLength(request.raw);
  return { source: bodySource(request, reply, services), ...(sizeBytes === null ? {} : { sizeBytes }) };
}

/** A chunk with the place it claims: 416 when Content-Range is malformed or its length is not the body's. */
function chunkOf(request: FastifyRequest, reply: FastifyReply, services: Services): UploadBody {
  const body = wholeUpload(request, reply, services);
  const header = request.headers['content-range'];
  if (header === undefined) return body;
  const range = parseContentRange(header);
  const sizeBytes = range === null ? -1 : range.last - range.first + 1;
  if (range === null || (body.sizeBytes !== undefined && body.sizeBytes !== sizeBytes)) {
    const message = 'Content-Range is not <first>-<last> of the length of the body';
    throw new RegistryError('BLOB_UPLOAD_INVALID', { status: 416, message });
  }
  return { ...body, offset: range.first, sizeBytes };
}

function progress(reply: FastifyReply, status: number, upload: Upload, sizeBytes: number): FastifyReply {
  return reply
    .code(status)
    .headers({
      location: `/v2/${upload.repo}/blobs/uploads/${upload.id}`,
      range: `0-${Math.max(0, sizeBytes - 1)}`,
      'blob-upload-uuid': upload.id,
      'docker-upload-uuid': upload.id,
    })
    .send();
}

function created(reply: FastifyReply, repo: RepoName, digest: Digest): FastifyReply {
  return reply
    .code(201)
    .headers({ location: `/v2/${repo}/blobs/${digest}`, 'docker-content-digest': digest })
    .send();
}
