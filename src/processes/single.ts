import type { Config } from '#config';
import type { Log } from '#lib/logger';
import { openKeeperSide, openServingSide } from '../app.ts';
import { listen, listenAddress } from './listen.ts';
import { drain } from './serve-one.ts';

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Keeper and serving side in this one process. */
export async function startSingle(config: Config, log: Log): Promise<RunningServer> {
  const { logger } = log;
  const kept = await openKeeperSide({ config, logger });
  try {
    const { keeper, storage, index } = kept;
    const side = openServingSide({ config, logger, keeper, storage, index });
    const secure = config.http.tls !== undefined;
    const address = listenAddress(config.http.address, config.http.port);
    const url = await listen(side.server, address, { secure, shared: false });
    return {
      url,
      stop: async () => {
        await drain(side, config.http.shutdownGrace, logger);
        await kept.close();
      },
    };
  } catch (error) {
    await kept.close();
    throw error;
  }
}
