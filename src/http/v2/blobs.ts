import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OpenBlob } from '#registry';
import { isNotModified, rangeApplies } from '../conditional.ts';
import { digestOfPath, repoOf } from '../context.ts';
import type { Handler } from '../context.ts';
import { parseRange } from '../range.ts';
import type { ByteRange } from '../range.ts';
import { sendPart } from '../send-blob.ts';

type Headers = Record<string, string | number>;

/** HEAD (distribution-spec, "Checking if content exists in the registry"). Writes nothing. */
export const headBlob: Handler = async (request, reply, { registry }) => {
  const blob = await registry.statBlob(repoOf(request), digestOfPath(request));
  if (isNotModified(request, blob.digest)) return reply.code(304).headers({ etag: `"${blob.digest}"` }).send();
  return reply.headers({ ...blobHeaders(blob), 'content-length': blob.sizeBytes }).send();
};

/** GET (distribution-spec, "Pulling blobs"), whole or by ranges. */
export const getBlob: Handler = async (request, reply, { registry }) => {
  const blob = await registry.openBlob(repoOf(request), digestOfPath(request));
  try {
    if (isNotModified(request, blob.digest)) return reply.code(304).headers({ etag: `"${blob.digest}"` }).send();
    const ranges = rangesOf(request, blob);
    if (ranges === null) return await sendWhole(blob, reply);
    if (ranges.length === 0) {
      return reply.code(416).headers({ 'content-range': `bytes */${blob.sizeBytes}`, 'accept-ranges': 'bytes' }).send();
    }
    const [only] = ranges;
    return await (ranges.length === 1 && only ? sendOne(blob, only, reply) : sendSeveral(blob, ranges, reply));
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

async function sendWhole(blob: OpenBlob, reply: FastifyReply): Promise<FastifyReply> {
  const whole = { first: 0, last: blob.sizeBytes - 1 };
  return sendParts(reply, 200, { ...blobHeaders(blob), 'content-length': blob.sizeBytes }, async () => {
    if (blob.sizeBytes > 0) await sendPart(blob.reader, whole, reply.raw);
  });
}

async function sendOne(blob: OpenBlob, range: ByteRange, reply: FastifyReply): Promise<FastifyReply> {
  const headers = {
    ...blobHeaders(blob),
    'content-length': range.last - range.first + 1,
    'content-range': `bytes ${range.first}-${range.last}/${blob.sizeBytes}`,
  };
  return sendParts(reply, 206, headers, async () => void (await sendPart(blob.reader, range, reply.raw)));
}

/** Several ranges in one answer (RFC 9110 section 14.6). */
async function sendSeveral(blob: OpenBlob, ranges: readonly ByteRange[], reply: FastifyReply): Promise<FastifyReply> {
  const boundary = randomBytes(16).toString('hex');
  const heads = ranges.map(
    ({ first, last }) =>
      `\r\n--${boundary}\r\nContent-Type: ${blob.mediaType}\r\n` +
      `Content-Range: bytes ${first}-${last}/${blob.sizeBytes}\r\n\r\n`,
  );
  const end = `\r\n--${boundary}--\r\n`;
  const bodyBytes = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const headers = {
    ...blobHeaders(blob),
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': bodyBytes + Buffer.byteLength(heads.join('') + end),
  };
  return sendParts(reply, 206, headers, async () => {
    for (const [at, range] of ranges.entries()) {
      reply.raw.write(heads[at]);
      await sendPart(blob.reader, range, reply.raw);
    }
    reply.raw.write(end);
  });
}

/** Writes the head and lets `write` write the body; a fault in the middle can only cut the connection. */
async function sendParts(
  reply: FastifyReply,
  status: number,
  headers: Headers,
  write: () => Promise<void>,
): Promise<FastifyReply> {
  reply.hijack();
  const all = { ...reply.getHeaders(), ...headers } as Record<string, string | number>;
  reply.raw.writeHead(status, all);
  try {
    await write();
    reply.raw.end();
  } catch (error) {
    reply.raw.destroy(error instanceof Error ? error : undefined);
    reply.log.error({ error }, 'a blob could not be sent to its end');
  }
  return reply;
}
