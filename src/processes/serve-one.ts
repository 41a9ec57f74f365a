import type { Logger } from '#lib/logger';
import type { ServingSide } from '../app.ts';

/** Connections whose last request was answered after the stop began are looked for this often. */
const SWEEP_MS = 100;

/**
 * Stops answering: no new connections, running requests finish, those that take longer than `graceMs` are cut off.
 */
export async function drain(side: ServingSide, graceMs: number, logger: Logger): Promise<void> {
  side.announceStop();
  const { server } = side.server;
  const timer = setTimeout(() => {
    logger.warn({ graceMs }, 'requests that are still running are cut off');
    server.closeAllConnections();
  }, graceMs);
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  try {
    await side.server.close();
  } finally {
    clearTimeout(timer);
    clearInterval(sweep);
  }
  await side.close();
}
