import { rmSync } from 'node:fs';
import { openKeeperSide, startTasks } from '../app.ts';
import { serveControl } from '../control/control-server.ts';
import { runChild } from './child.ts';
import { attachKeeper, serveKeeper } from './keeper-server.ts';

/** The keeper's process. */
export function main(): Promise<number> {
  return runChild('keeper', async (order, log) => {
    const side = await openKeeperSide({ config: order.config, logger: log.logger, audit: log.audit });
    // Left by a keeper that was killed.
    rmSync(order.socketPath, { force: true });
    const server = await serveKeeper(side.keeper, order.socketPath, log.logger);
    const control = await serveControl(side.ownFolder, {
      commands: side.commands,
      host: side.host,
      attach: (socket) => attachKeeper(side.keeper, socket, log.logger),
    });
    startTasks(side);
    return {
      prepare: (config) => side.prepare(config),
      stop: async () => {
        control.close();
        server.close();
        await side.close();
      },
    };
  });
}
