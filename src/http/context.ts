import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '#access';
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { parseRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { parseUploadId } from '#oci/upload-id';
import type { UploadId } from '#oci/upload-id';
import type { Registry } from '#registry';
import { RequestBody } from './body.ts';
import type { TrustedProxies } from './client-address.ts';
import type { RateLimiter } from './rate-limiter.ts';

/** What handlers have at hand. */
export interface Services {
  readonly registry: Registry;
  /** For faults that can no longer become an answer. */
  readonly logger: Logger;
  /** Who is asking, and may they. Another object when the configuration changes: to be asked for in each request. */
  readonly access: Access;
  /** What is in force at this moment; what needs a restart is as it was at the start. */
  readonly config: Config;
  readonly proxies: TrustedProxies;
  /** `null` where nothing is limited. */
  readonly limits: RateLimiter | null;
  /** The largest manifest that is taken, bytes. */
  readonly manifestSizeBytesMax: number;
  /** Manifest media types that may be pushed. */
  readonly acceptedTypes: ReadonlySet<string>;
  /** A body without progress for this long is cut off. */
  readonly idleMs: number;
  readonly realm: string;
  /** Extensions as the discovery route lists them. */
  readonly extensions: readonly DiscoveredExtension[];
  /** Whether a request to stop has come, so that readiness is denied. */
  readonly isStopping: () => boolean;
}

export interface DiscoveredExtension {
  readonly name: string;
  readonly url: string;
  readonly description: string;
  readonly endpoints: readonly string[];
}

export type Handler = (request: FastifyRequest, reply: FastifyReply, services: Services) => unknown;

type Params = Readonly<Record<string, string>>;

export function repoOf(request: FastifyRequest): RepoName {
  return parseRepoName((request.params as Params).name ?? '');
}

export function digestOfPath(request: FastifyRequest): Digest {
  return parseDigest((request.params as Params).digest ?? '');
}

export function uploadIdOf(request: FastifyRequest): UploadId {
  return parseUploadId((request.params as Params).id ?? '');
}

export function referenceTextOf(request: FastifyRequest): string {
  return (request.params as Params).reference ?? '';
}

/** The values of a query parameter, in order; none when it is absent. */
export function queryValues(request: FastifyRequest, name: string): readonly string[] {
  const value = (request.query as Record<string, string | string[] | undefined>)[name];
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** The only value of a query parameter, `null` when absent; throws `REQUEST_INVALID` when it is repeated. */
export function queryValue(request: FastifyRequest, name: string): string | null {
  const values = queryValues(request, name);
  if (values.length > 1)
    throw new RegistryError('REQUEST_INVALID', { message: `the parameter ${name} is given twice` });
  return values[0] ?? null;
}

/** The parameter `n` of a list: a number of entries, `null` when absent. Throws `REQUEST_INVALID` for anything else. */
export function pageSize(request: FastifyRequest): number | null {
  const text = queryValue(request, 'n');
  if (text === null) return null;
  if (!/^\d{1,9}$/.test(text))
    throw new RegistryError('REQUEST_INVALID', { message: 'the parameter n is not a number' });
  return Number(text);
}

/** The body as it arrives, within the time limits. */
export function bodySource(request: FastifyRequest, reply: FastifyReply, services: Services): RequestBody {
  return new RequestBody(request.raw, reply.raw, services.idleMs);
}

export const JSON_TYPE = 'application/json';

/** Answers with JSON text; as bytes, since the framework would add a charset to the type, which OCI types lack. */
export function sendJson(reply: FastifyReply, json: string, type = JSON_TYPE): FastifyReply {
  return reply.header('content-type', type).send(Buffer.from(json));
}
