import { openServingAccounts, openServingIndex, openServingSide, openStorage } from '../app.ts';
import { runChild } from './child.ts';
import { listen, listenAddress } from './listen.ts';
import { RemoteKeeper } from './remote-keeper.ts';
import { drain } from './serve-one.ts';

/** A serving process. */
export function main(): Promise<number> {
  return runChild('worker', async (order, log) => {
    const { config, socketPath, port } = order;
    const keeper = new RemoteKeeper(socketPath);
    await keeper.connect();
    const index = openServingIndex(config);
    keeper.onReplaced(
      () =>
        void index
          .reopen()
          .catch((error: unknown) => log.logger.error({ error }, 'the index cannot be opened')),
    );
    const accounts = openServingAccounts(config);
    const storage = openStorage(config);
    const { logger, audit } = log;
    const side = await openServingSide({ config, logger, audit, keeper, storage, index, accounts });
    const secure = config.http.tls !== undefined;
    await listen(side.server, listenAddress(config.http.address, port), { secure, shared: true });
    return {
      prepare: (changed) => side.prepare(changed),
      stop: async () => {
        await drain(side, config.http.shutdownGrace, log.logger);
        await keeper.close();
        await Promise.all([index.close(), accounts.close()]);
        await storage.close();
      },
    };
  });
}
