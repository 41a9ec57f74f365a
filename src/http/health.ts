import { RegistryError } from '#oci/errors';
import type { Handler, Services } from './context.ts';

/** A probe that takes longer than this is an answer in itself. */
const PROBE_TIMEOUT_MS = 2000;

/** `/livez`: the process answers. */
export const getLive: Handler = (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok');

/** `/startupz`: the start is over; the port is opened only then. */
export const getStarted: Handler = (request, reply, services) => getLive(request, reply, services);

/** `/readyz`: storage, index and records answer in time, the storage has been looked at, no stop is asked for. */
export const getReady: Handler = async (_request, reply, services) => {
  await requireReady(services);
  return reply.type('text/plain; charset=utf-8').send('ok');
};

async function requireReady(services: Services): Promise<void> {
  if (services.isStopping()) throw notReady('the registry is stopping');
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(reject, PROBE_TIMEOUT_MS, notReady('storage or index did not answer in time'));
  try {
    const { walked } = await Promise.race([services.registry.probe(), late]);
    if (!walked) throw notReady('the first look at the storage is not complete');
  } catch (cause) {
    throw cause instanceof RegistryError ? cause : notReady('storage or index does not answer', cause);
  } finally {
    clearTimeout(timer);
  }
}

function notReady(reason: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `not ready yet: ${reason}`,
    retryAfterSeconds: 1,
    cause,
  });
}
