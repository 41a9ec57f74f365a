/** The public face of the HTTP layer. */
export type { DiscoveredExtension, Handler, Services } from './context.ts';
export { sendJson } from './context.ts';
export { TrustedProxies } from './client-address.ts';
export { RateLimiter } from './rate-limiter.ts';
export { Generations } from './generation.ts';
export type { Generation } from './generation.ts';
export type { Method, Permission, Route } from './routes.ts';
export { ROUTES } from './routes.ts';
export { buildServer } from './server.ts';
export type { HttpServer, ServerOptions } from './server.ts';
export { SESSION_ROUTES } from './session/routes.ts';
export { TlsFiles } from './tls.ts';
export type { TlsPaths } from './tls.ts';
