import type { Config } from '#config';
import type { Log } from '#lib/logger';
import { prepareAll } from '#lib/prepared';
import type { Prepared } from '#lib/prepared';
import { openKeeperSide, openServingSide, startTasks } from '../app.ts';
import { serveControl } from '../control/control-server.ts';
import { attachKeeper } from './keeper-server.ts';
import { listen, listenAddress } from './listen.ts';
import { drain } from './serve-one.ts';

export interface RunningServer {
  readonly url: string;
  /** Makes a changed configuration ready to be in force in every process; throws `StartError` when one refuses. */
  prepare(config: Config): Promise<Prepared>;
  stop(): Promise<void>;
}

/** Keeper and serving side in this one process. */
export async function startSingle(config: Config, log: Log): Promise<RunningServer> {
  const { logger, audit } = log;
  const kept = await openKeeperSide({ config, logger, audit });
  try {
    const { keeper, storage, index } = kept;
    const side = await openServingSide({ config, logger, audit, keeper, storage, index });
    const secure = config.http.tls !== undefined;
    const address = listenAddress(config.http.address, config.http.port);
    const url = await listen(side.server, address, { secure, shared: false });
    const control = await serveControl(kept.ownFolder, {
      commands: kept.commands,
      host: kept.host,
      attach: (socket) => attachKeeper(kept.keeper, socket, logger),
    });
    startTasks(kept);
    return {
      url,
      prepare: (changed) => prepareAll([() => side.prepare(changed), () => kept.prepare(changed)]),
      stop: async () => {
        control.close();
        await drain(side, config.http.shutdownGrace, logger);
        await kept.close();
      },
    };
  } catch (error) {
    await kept.close();
    throw error;
  }
}
