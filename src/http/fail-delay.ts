import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyRequest } from 'fastify';
import { RegistryError } from '#oci/errors';

/** Beyond so many at once refusals are answered without delay: they must not gather connections without bound. */
const DELAYED_MAX = 1000;

let delayed = 0;

/**
 * Holds the answer to a refusal back for `http.auth.failDelay`, as zot does: of what was offered and is wrong, and of
 * what somebody known may not. The first request of a client, which only asks how to sign in, is answered at once.
 */
export async function delayRefusal(
  request: FastifyRequest,
  error: unknown,
  delaySeconds: number,
): Promise<void> {
  if (delaySeconds <= 0 || !isRefusal(error) || !hasOffered(request) || delayed >= DELAYED_MAX) return;
  delayed += 1;
  try {
    await wait(delaySeconds * 1000, undefined, { ref: false });
  } finally {
    delayed -= 1;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'UNAUTHORIZED' || error.code === 'DENIED');
}

function hasOffered({ headers, caller }: FastifyRequest): boolean {
  const isKnown = caller !== null && caller.identity.method !== 'none';
  return isKnown || headers.authorization !== undefined || headers['x-zot-api-client'] !== undefined;
}
