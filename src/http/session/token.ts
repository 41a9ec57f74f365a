/** `/zot/auth/token`: clients fetch tokens (Docker token authentication specification). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RegistryError } from '#oci/errors';
import { HttpAccessRequest } from '../access-request.ts';
import { contentLength, hasBody, wholeBody } from '../body.ts';
import { bodySource } from '../context.ts';
import type { Handler, Services } from '../context.ts';

const BODY_BYTES_MAX = 64 * 1024;
const FORM = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** GET with parameters, or POST of a form. */
export const getToken: Handler = async (request, reply, services) => {
  const { access } = services;
  if (access.tokens === null) throw new RegistryError('NOT_FOUND');
  const form = request.method === 'POST' ? await formOf(request, reply, services) : null;
  const answer = await access.tokens.answer({ request: new HttpAccessRequest(request), form }, access);
  for (const [name, value] of Object.entries(answer.headers))
    reply.header(name, typeof value === 'string' ? value : [...value]);
  return reply.code(answer.status).send(answer.body);
};

/** The fields of a form; none for a body of another type. */
async function formOf(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<URLSearchParams | null> {
  if (!hasBody(request.raw)) return null;
  const body = await wholeBody(bodySource(request, reply, services), {
    announcedBytes: contentLength(request.raw),
    sizeBytesMax: BODY_BYTES_MAX,
    tooLarge: () =>
      new RegistryError('SIZE_INVALID', {
        status: 413,
        message: `the body is larger than ${BODY_BYTES_MAX} bytes`,
      }),
  });
  if (!FORM.test(request.headers['content-type'] ?? '')) return null;
  const text = body.toString('latin1');
  // Form fields are ASCII with escapes (WHATWG URL, section 5); anything else is no form.
  if (/[^\x20-\x7e]/.test(text) || /%(?![0-9A-Fa-f]{2})/.test(text))
    throw new RegistryError('REQUEST_INVALID', { message: 'invalid token request form body' });
  return new URLSearchParams(text);
}
