import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasBody } from './body.ts';

/**
 * Answers 200 with bytes that are at hand. Over HTTP/1.1 they go straight to Node's response, with the headers that the
 * reply has already: the framework's way costs more than everything else that we do for the pull of a manifest.
 */
export function answerWithBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: Buffer,
  headers: Readonly<Record<string, string>>,
): FastifyReply {
  const { raw } = request;
  // What has to be done for a client that left, or that is still sending, is done on the framework's way.
  if (raw.httpVersionMajor !== 1 || request.course.isClosed || hasBody(raw))
    return reply.headers(headers).send(bytes);
  reply.hijack();
  const all = { ...reply.getHeaders(), ...headers, 'content-length': bytes.length } as OutgoingHttpHeaders;
  reply.raw.writeHead(200, all);
  reply.raw.end(bytes);
  request.course.sentBytes = bytes.length;
  return reply;
}
