import type { Logger } from '#lib/logger';
import type { ServingSide } from '../app.ts';

/**
 * Stops answering: no new connections, running requests finish, those that take longer than `graceMs` are cut off.
 */
export async function drain(side: ServingSide, graceMs: number, logger: Logger): Promise<void> {
  side.announceStop();
  const timer = setTimeout(() => {
    logger.warn({ graceMs }, 'requests that are still running are cut off');
    const { server } = side.server;
    if ('closeAllConnections' in server) server.closeAllConnections();
  }, graceMs);
  try {
    await side.server.close();
  } finally {
    clearTimeout(timer);
  }
  await side.close();
}
