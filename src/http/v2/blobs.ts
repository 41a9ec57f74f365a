import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#lib/logger';
import { RegistryError } from '#oci/errors';
import { StorageError } from '#registry';
import type { OpenBlob, Registry } from '#registry';
import { ClientGone } from '../body.ts';
import { isNotModified, rangeApplies } from '../conditional.ts';
import { digestOfPath, repoOf } from '../context.ts';
import type { Handler } from '../context.ts';
import { parseRange } from '../range.ts';
import type { ByteRange } from '../range.ts';
import { ShortContent, sendPart } from '../send-blob.ts';

type Headers = Record<string, string | number>;

/** HEAD (distribution-spec, "Checking if content exists in the registry"). Writes nothing. */
export const headBlob: Handler = async (request, reply, { registry }) => {
  const blob = await registry.statBlob(repoOf(request), digestOfPath(request));
  if (isNotModified(request, blob.digest))
    return reply
      .code(304)
      .headers({ etag: `"${blob.digest}"` })
      .send();
  return reply.headers({ ...blobHeaders(blob), 'content-length': blob.sizeBytes }).send();
};

/** GET (distribution-spec, "Pulling blobs"), whole or by ranges. */
export const getBlob: Handler = async (request, reply, { registry, logger }) => {
  const blob = await registry.openBlob(repoOf(request), digestOfPath(request));
  try {
    if (isNotModified(request, blob.digest))
      return reply
        .code(304)
        .headers({ etag: `"${blob.digest}"` })
        .send();
    const sending = { blob, reply, logger, registry };
    const ranges = rangesOf(request, blob);
    if (ranges === null) return await sendWhole(sending);
    if (ranges.length === 0) {
      reply.headers({ 'content-range': `bytes */${blob.sizeBytes}`, 'accept-ranges': 'bytes' });
      throw new RegistryError('RANGE_INVALID', { detail: { digest: blob.digest, size: blob.sizeBytes } });
    }
    const [only] = ranges;
    return await (ranges.length === 1 && only ? sendOne(sending, only) : sendSeveral(sending, ranges));
  } finally {
    await blob.reader.close();
  }
};

/** DELETE (distribution-spec, "Deleting Blobs"). */
export const deleteBlob: Handler = async (request, reply, { registry }) => {
  await registry.deleteBlob(repoOf(request), digestOfPath(request));
  return reply.code(202).send();
};

function rangesOf(request: FastifyRequest, blob: OpenBlob): ByteRange[] | null {
  const header = request.headers.range;
  if (header === undefined || !rangeApplies(request, blob.digest)) return null;
  return parseRange(header, blob.sizeBytes);
}

function blobHeaders(blob: Pick<OpenBlob, 'digest' | 'mediaType'>): Headers {
  return {
    'content-type': blob.mediaType,
    'docker-content-digest': blob.digest,
    'accept-ranges': 'bytes',
    etag: `"${blob.digest}"`,
    'cache-control': 'private, max-age=31536000, immutable',
    // The type was given by whoever pushed: whatever it says, a browser must not run it.
    'content-security-policy': "default-src 'none'; sandbox",
  };
}

interface Sending {
  readonly blob: OpenBlob;
  readonly reply: FastifyReply;
  readonly logger: Logger;
  readonly registry: Registry;
}

function sendWhole(sending: Sending): Promise<FastifyReply> {
  const { blob, reply } = sending;
  const whole = { first: 0, last: blob.sizeBytes - 1 };
  return sendParts(sending, 200, { ...blobHeaders(blob), 'content-length': blob.sizeBytes }, async () => {
    return blob.sizeBytes === 0 ? 0 : sendPart(blob.reader, whole, reply.raw);
  });
}

function sendOne(sending: Sending, range: ByteRange): Promise<FastifyReply> {
  const { blob, reply } = sending;
  const headers = {
    ...blobHeaders(blob),
    'content-length': range.last - range.first + 1,
    'content-range': `bytes ${range.first}-${range.last}/${blob.sizeBytes}`,
  };
  return sendParts(sending, 206, headers, () => sendPart(blob.reader, range, reply.raw));
}

/** Several ranges in one answer (RFC 9110 section 14.6). */
function sendSeveral(sending: Sending, ranges: readonly ByteRange[]): Promise<FastifyReply> {
  const { blob, reply } = sending;
  const boundary = randomBytes(16).toString('hex');
  const heads = ranges.map(
    ({ first, last }) =>
      `\r\n--${boundary}\r\nContent-Type: ${blob.mediaType}\r\n` +
      `Content-Range: bytes ${first}-${last}/${blob.sizeBytes}\r\n\r\n`,
  );
  const end = `\r\n--${boundary}--\r\n`;
  const framingBytes = Buffer.byteLength(heads.join('') + end);
  const bodyBytes = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const headers = {
    ...blobHeaders(blob),
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': bodyBytes + framingBytes,
  };
  return sendParts(sending, 206, headers, async () => {
    let sentBytes = framingBytes;
    for (const [at, range] of ranges.entries()) {
      reply.raw.write(heads[at]);
      sentBytes += await sendPart(blob.reader, range, reply.raw);
    }
    reply.raw.write(end);
    return sentBytes;
  });
}

/** Writes the head and lets `write` write the body; a fault in the middle can only cut the connection. */
async function sendParts(
  { blob, reply, logger, registry }: Sending,
  status: number,
  headers: Headers,
  write: () => Promise<number>,
): Promise<FastifyReply> {
  if (reply.request.course.isClosed) throw new ClientGone('the client left before the answer');
  reply.hijack();
  const all = { ...reply.getHeaders(), ...headers } as Record<string, string | number>;
  reply.raw.writeHead(status, all);
  try {
    reply.request.course.sentBytes = await write();
    reply.raw.end();
  } catch (error) {
    logger.error(
      { error, digest: blob.digest, requestId: reply.request.id },
      'a blob could not be sent to its end',
    );
    reply.raw.destroy();
    if (error instanceof ShortContent || error instanceof StorageError)
      await registry.noteBrokenBlob(repoOf(reply.request), blob.digest);
  }
  return reply;
}
