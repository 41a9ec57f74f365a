import type { FastifyReply, FastifyRequest } from 'fastify';
import { ANONYMOUS } from '#access';
import type { AuditLog, AuditedRequest } from '#lib/audit-log';
import { NAME_CHARS_MAX, shownText, shownUrl } from './access-log.ts';

const CHANGING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
/** Keys and tokens that somebody typed where a name belongs: API keys, JWTs. */
const SECRET_NAME = /^(?:zak_|eyJ)/;

/**
 * Writes the audit record of a request that is over: of every one that changes something, however it ended, and of
 * every refusal. A client that only asks how to sign in is no refusal.
 */
export function auditRequest(audit: AuditLog, request: FastifyRequest, reply: FastifyReply): void {
  const { method, course, caller } = request;
  const status = reply.raw.headersSent ? reply.raw.statusCode : reply.statusCode;
  if (!CHANGING.has(method) && !isRefusal(request, status)) return;
  audit.request({
    clientIP: course.clientIP,
    ...(course.proxyIP === null ? {} : { proxyIP: course.proxyIP }),
    ...whoOf(caller),
    action: method,
    object: shownUrl(request.originalUrl),
    status,
    requestId: request.id,
    ...whyOf(course.refused),
  });
}

function whoOf(caller: FastifyRequest['caller']): Pick<AuditedRequest, 'subject' | 'method'> {
  const { username, method } = caller?.identity ?? ANONYMOUS;
  return username === '' ? { subject: 'anonymous' } : { subject: shownName(username), method };
}

function whyOf(refused: FastifyRequest['course']['refused']): Pick<AuditedRequest, 'reason' | 'claimed'> {
  if (refused === null) return {};
  const { reason, username } = refused;
  return username === '' ? { reason } : { reason, claimed: shownName(username) };
}

function isRefusal({ headers, originalUrl }: FastifyRequest, status: number): boolean {
  if (status === 403 || status === 429) return true;
  const isPing = originalUrl === '/v2/' && headers.authorization === undefined;
  return status === 401 && !isPing;
}

/** zot's records hold names as they are; one that is a secret must not be in them. */
function shownName(name: string): string {
  return SECRET_NAME.test(name) ? '******' : shownText(name, NAME_CHARS_MAX);
}
