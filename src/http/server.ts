/**
 * The HTTP server. The order of a request, which `docs/LIFECYCLE.md` draws: clean path -> repository name to one
 * segment -> request id -> headers of every answer -> limit of the address -> route -> (identify -> permit -> limit of
 * the user) -> handler -> error to answer -> access log and audit log.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { NO_AUDIT } from '#lib/audit-log';
import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import { RegistryError } from '#oci/errors';
import { beginCourse, logRequest } from './access-log.ts';
import { auditRequest } from './audit.ts';
import { isAwaitingContinue } from './body.ts';
import type { Services } from './context.ts';
import { JSON_TYPE, sendJson } from './context.ts';
import { answerPreflight, corsHeaders, methodsByUrl } from './cors.ts';
import { delayRefusal } from './fail-delay.ts';
import { lingerOnBody } from './linger.ts';
import { namesSeveralHosts, refuseMalformed } from './malformed.ts';
import { createNodeServer } from './node-server.ts';
import { authorize, isOpenTo } from './pipeline.ts';
import { problemBody, problemOf } from './problem.ts';
import type { Problem } from './problem.ts';
import { isUnlimited, setRateHeaders, tooManyRequests } from './rate-headers.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { SECURITY_HEADERS, transportSecurity } from './security-headers.ts';
import { UNROUTABLE, cleanedUrl, rewriteUrl } from './rewrite-url.ts';
import { ROUTES } from './routes.ts';
import type { Route } from './routes.ts';
import type { TlsFiles } from './tls.ts';

export interface ServerOptions {
  readonly services: Services;
  readonly logger: Logger;
  readonly audit: AuditLog;
  readonly allowOrigin: string;
  /** Absent: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** An answer that the client does not take for this long ends the connection; 0: never. */
  readonly idleMs: number;
  /** Routes of extensions, beside those of the core. */
  readonly routes?: readonly Route[];
}

/** Names of 255 characters with their slashes written in three, and digests of sha512. */
const PARAM_LENGTH_MAX = 1024;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

export type HttpServer = FastifyInstance;

/** Methods whose requests may have a body. */
const BODY_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'] as const;

/** Builds the server; `listen` and `close` are the caller's. */
export function buildServer(options: ServerOptions): HttpServer {
  const begin = requestBeginning(options);
  const app = fastify({
    serverFactory: (handler) => createNodeServer(options, handler),
    clientErrorHandler: (error, socket) => refuseMalformed(error, socket, options.logger),
    rewriteUrl: (request) => rewriteUrl(request.url ?? '/'),
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX, caseSensitive: true, ignoreTrailingSlash: false },
    exposeHeadRoutes: false,
    genReqId: requestIds(),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => {
      begin(request, reply);
      answerProblem(error, request, reply, options);
    },
  });
  // Bodies stay on the wire until a handler asks for them, whatever type they claim to have.
  for (const method of BODY_METHODS) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  addHooks(app, begin, options);
  addRoutes(app, options);
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, options));
  return app;
}

/** Ids that no other process gives: a random start and a count. A client's own is kept if it is harmless. */
function requestIds(): (request: { headers: IncomingMessage['headers'] }) => string {
  const prefix = randomBytes(6).toString('hex');
  let count = 0;
  return (request) => {
    const given = request.headers['x-request-id'];
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given;
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}

type Beginning = (request: FastifyRequest, reply: FastifyReply) => void;

/** What every request gets before anything else: the headers of every answer, and its line in the log at the end. */
function requestBeginning(options: ServerOptions): Beginning {
  const cors = corsHeaders(options.allowOrigin);
  const always = { ...cors.always, ...SECURITY_HEADERS };
  const isSecure = options.tls !== null;
  return (request, reply) => {
    request.course = beginCourse(request, options.services.proxies);
    reply.headers(always).header('x-request-id', request.id);
    if (isSecure) reply.headers(transportSecurity(request));
    if (request.headers.origin !== undefined) reply.headers(cors.toBrowsers);
    // Comes also when the client went away, which `finish` does not.
    reply.raw.once('close', () => {
      request.course.isClosed = true;
      // What is not answered yet gets its line with the status that it would have had.
      if (reply.raw.headersSent) noteEnd(options, request, reply);
    });
  };
}

/** The lines that a request leaves behind. */
function noteEnd({ logger, audit }: ServerOptions, request: FastifyRequest, reply: FastifyReply): void {
  logRequest(logger, request, reply);
  if (audit !== NO_AUDIT) auditRequest(audit, request, reply);
}

function addHooks(app: FastifyInstance, begin: Beginning, options: ServerOptions): void {
  const { services } = options;
  app.addHook('onRequest', (request, reply, done) => {
    begin(request, reply);
    const proceed = (): void => {
      if (namesSeveralHosts(request.raw))
        return done(new RegistryError('REQUEST_INVALID', { message: 'there is more than one Host header' }));
      const clean = cleanedUrl(request.originalUrl);
      if (clean === null) done();
      else reply.code(301).header('location', clean).send();
    };
    const { limits } = services;
    if (limits === null || isUnlimited(request.originalUrl)) proceed();
    else void limitRate(limits, request, reply).then(proceed, done);
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.course.isClosed) noteEnd(options, request, reply);
    else lingerOnBody(request.raw);
    done(null, payload);
  });
}

/** Before anything is looked up: 404s and wrong passwords count like everything else. */
async function limitRate(limits: RateLimiter, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { clientAddress } = request.course;
  const verdict = await limits.admitAddress(clientAddress, request.method);
  if (verdict === null) return;
  setRateHeaders(reply, verdict, clientAddress);
  if (!verdict.allowed) throw tooManyRequests(verdict);
}

function addRoutes(app: FastifyInstance, options: ServerOptions): void {
  const routes = [...ROUTES, ...(options.routes ?? [])];
  app.decorateRequest('caller', null);
  app.decorateRequest('course');
  for (const route of routes) {
    const { method, url } = route;
    app.route({ method, url, handler: (request, reply) => answer(route, request, reply, options.services) });
  }
  const methods = methodsByUrl(routes);
  for (const [url, allowed] of methods) {
    app.route({ method: 'OPTIONS', url, handler: (_request, reply) => answerPreflight(reply, allowed) });
    const others = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).filter(
      (name) => !allowed.includes(name),
    );
    app.route({
      method: others,
      url,
      handler: (request, reply) =>
        answerText(reply.header('allow', [...allowed, 'OPTIONS'].join(', ')), request, 405),
    });
  }
  app.setNotFoundHandler((request, reply) => answerText(reply, request, 404));
}

function answer(route: Route, request: FastifyRequest, reply: FastifyReply, services: Services): unknown {
  if (route.isConfigured?.(services.config) === false) return answerText(reply, request, 404);
  return isOpenTo(route, services.access)
    ? route.handler(request, reply, services)
    : answerPermitted(route, request, reply, services);
}

async function answerPermitted(
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<unknown> {
  const { headers, identity } = await authorizeSlowly(request, route, services);
  setHeaders(reply, headers);
  const verdict = (await services.limits?.admitUser(identity.username)) ?? null;
  if (verdict !== null && !verdict.allowed) throw tooManyRequests(verdict);
  return route.handler(request, reply, services);
}

/** Refusals take the time that the configuration asks for. */
async function authorizeSlowly(
  request: FastifyRequest,
  route: Route,
  { access, config }: Services,
): ReturnType<typeof authorize> {
  try {
    return await authorize(request, route, access);
  } catch (error) {
    await delayRefusal(request, error, config.http.auth.failDelay);
    throw error;
  }
}

function answerText(reply: FastifyReply, request: FastifyRequest, status: 404 | 405): FastifyReply {
  const code = status === 404 ? 'NOT_FOUND' : 'METHOD_NOT_ALLOWED';
  const message = status === 404 ? 'no such resource' : `${request.method} is not allowed here`;
  const detail = { description: request.url === UNROUTABLE ? 'the path holds an encoded slash' : message };
  return sendProblem(reply, request, { status, code, message, detail, headers: {} });
}

function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ServerOptions,
): FastifyReply {
  const problem = problemOf(error);
  if (problem.cause !== null) {
    const level = problem.status >= 500 && problem.status !== 507 ? 'error' : 'warn';
    options.logger[level](
      { error: problem.cause, requestId: request.id, code: problem.code },
      'request failed',
    );
  }
  if (problem.retryAfterSeconds !== null) reply.header('retry-after', problem.retryAfterSeconds);
  return sendProblem(reply, request, problem);
}

function sendProblem(
  reply: FastifyReply,
  request: FastifyRequest,
  problem: Omit<Problem, 'cause' | 'retryAfterSeconds'>,
): FastifyReply {
  // A client that was not asked for its body may still send it: this connection cannot be understood any further.
  const broken = isAwaitingContinue(request.raw) || problem.status === 408;
  if (broken && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
  for (const name of ['cache-control', 'etag', 'content-length']) reply.removeHeader(name);
  setHeaders(reply.code(problem.status), problem.headers);
  if (request.method === 'HEAD') return reply.header('content-type', JSON_TYPE).send();
  return sendJson(reply, problemBody(problem));
}

function setHeaders(reply: FastifyReply, headers: Problem['headers']): void {
  for (const [name, value] of Object.entries(headers))
    reply.header(name, typeof value === 'string' ? value : [...value]);
}
