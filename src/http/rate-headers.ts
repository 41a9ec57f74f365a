import type { FastifyReply } from 'fastify';
import { RegistryError } from '#oci/errors';
import type { RateVerdict } from './rate-limiter.ts';

/** Health is asked for by what restarts the server: it must be told even when everything else is too much. */
const UNLIMITED: ReadonlySet<string> = new Set(['/livez', '/readyz', '/startupz']);

export function isUnlimited(url: string): boolean {
  return UNLIMITED.has(url);
}

/** zot's headers of a limit (`X-Rate-Limit-*`) and those of the IETF draft, for the limit that is nearest. */
export function setRateHeaders(reply: FastifyReply, verdict: RateVerdict, clientAddress: string): void {
  reply.headers({
    'x-rate-limit-limit': verdict.ratePerSecond.toFixed(2),
    'x-rate-limit-duration': '1',
    'x-rate-limit-request-remote-addr': clientAddress,
    'ratelimit-limit': String(verdict.ratePerSecond),
    'ratelimit-reset': '1',
    'ratelimit-remaining': String(verdict.remaining),
  });
}

/** 429 with the time to wait (distribution-spec, "Error Codes": TOOMANYREQUESTS). */
export function tooManyRequests({ retryAfterMs }: RateVerdict): RegistryError {
  const retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new RegistryError('TOOMANYREQUESTS', { retryAfterSeconds });
}
