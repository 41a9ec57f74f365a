/** `/zot/auth/apikey`: people make, list and revoke the keys of their programs. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiKeyDesk, ApiKeyRecord, Identity } from '#access';
import { RegistryError } from '#oci/errors';
import { contentLength, wholeBody } from '../body.ts';
import { callerOf } from '../caller.ts';
import { bodySource, queryValue, sendJson } from '../context.ts';
import type { Handler, Services } from '../context.ts';
import { readApiKeyRequest } from './api-key-request.ts';
import { refuseForeignPages } from './own-pages.ts';

const BODY_BYTES_MAX = 8 * 1024;
/** How zot writes a time that is not set. */
const NO_TIME = '0001-01-01T00:00:00Z';

/** POST: makes a key and shows it, this one time. */
export const postApiKey: Handler = async (request, reply, services) => {
  refuseForeignPages(request);
  const desk = deskOf(services);
  const owner = ownerOf(request);
  const body = await wholeBody(bodySource(request, reply, services), {
    announcedBytes: contentLength(request.raw),
    sizeBytesMax: BODY_BYTES_MAX,
    tooLarge: () =>
      new RegistryError('SIZE_INVALID', {
        status: 413,
        message: `the body is larger than ${BODY_BYTES_MAX} bytes`,
      }),
  });
  const userAgent = request.headers['user-agent'] ?? '';
  const { key, record } = await desk.create(owner, { ...readApiKeyRequest(body, Date.now()), userAgent });
  return send(reply.code(201), { ...shown(record, desk), apiKey: key });
};

/** GET: the keys of the caller, oldest first, without the keys themselves. */
export const getApiKeys: Handler = async (request, reply, services) => {
  const desk = deskOf(services);
  const records = await desk.list(ownerOf(request).username);
  return send(reply, { apiKeys: records.map((record) => shown(record, desk)) });
};

/** DELETE with the parameter `id`: revokes a key of the caller. */
export const deleteApiKey: Handler = async (request, reply, services) => {
  refuseForeignPages(request);
  const id = queryValue(request, 'id') ?? '';
  if (id === '') throw new RegistryError('REQUEST_INVALID', { message: 'the parameter id names no key' });
  const isRevoked = await deskOf(services).revoke(ownerOf(request).username, id);
  if (!isRevoked) throw new RegistryError('NOT_FOUND', { message: 'you have no API key with this id' });
  return reply.header('cache-control', 'no-store').send();
};

function deskOf({ access }: Services): ApiKeyDesk {
  if (access.apiKeys === null) throw new RegistryError('NOT_FOUND');
  return access.apiKeys;
}

/** Keys belong to people: a key or a token, which may have got into other hands, makes and shows none. */
function ownerOf(request: FastifyRequest): Identity {
  const { identity } = callerOf(request);
  if (identity.method === 'apikey' || identity.method === 'token' || identity.scopeOnly) {
    throw new RegistryError('DENIED', {
      message: 'API keys are managed by their owner, not by a key or a token',
    });
  }
  return identity;
}

/** The fields and their order are zot's. */
function shown(record: ApiKeyRecord, desk: ApiKeyDesk): Readonly<Record<string, unknown>> {
  return {
    createdAt: timeText(record.createdMs),
    expirationDate: timeText(record.expiresMs),
    isExpired: desk.isExpired(record),
    creatorUa: record.creatorUserAgent,
    generatedBy: record.generatedBy,
    lastUsed: timeText(record.lastUsedMs),
    label: record.label,
    scopes: record.scopes,
    uuid: record.uuid,
  };
}

function timeText(ms: number | null): string {
  return ms === null ? NO_TIME : new Date(ms).toISOString();
}

function send(reply: FastifyReply, body: unknown): FastifyReply {
  return sendJson(reply.header('cache-control', 'no-store'), JSON.stringify(body));
}
