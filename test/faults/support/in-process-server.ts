import { pino } from 'pino';
import { configFromObject } from '#config';
import type { StorageDriver } from '#storage';
import { openKeeperSide, openServingSide } from '../../../src/app.ts';
import { listen, listenAddress } from '../../../src/processes/listen.ts';
import { RegistryClient } from './registry-client.ts';

export interface InProcessServer {
  readonly url: string;
  readonly client: RegistryClient;
  /** Log lines of warnings and errors, as JSON. */
  readonly log: readonly string[];
  close(): Promise<void>;
}

export interface InProcessOptions {
  /** The storage folder; with a driver only the databases are there. */
  readonly root: string;
  readonly driver?: StorageDriver;
  /** `storage` of the configuration, besides the root; the watermark is off unless it is set here. */
  readonly storage?: Record<string, unknown>;
}

/** The whole server in this process, on a free port, so that its parts can be taken from a test. */
export async function serveInProcess(options: InProcessOptions): Promise<InProcessServer> {
  const { config } = configFromObject({
    storage: { rootDirectory: options.root, minFreeSpace: 0, commit: true, ...options.storage },
    http: { address: '127.0.0.1', port: 0, workers: 1 },
  });
  const log: string[] = [];
  const logger = pino(
    { level: 'warn', messageKey: 'message', serializers: { error: pino.stdSerializers.err } },
    { write: (line: string) => void log.push(line) },
  );
  const driver = options.driver === undefined ? {} : { driver: options.driver };
  const kept = await openKeeperSide({ config, logger, ...driver });
  const { keeper, storage, index } = kept;
  const side = await openServingSide({ config, logger, keeper, storage, index });
  const url = await listen(side.server, listenAddress('127.0.0.1', 0), { secure: false, shared: false });
  const client = new RegistryClient(url);
  // Before that, lists may lack what the first look at the storage has not come to.
  await kept.walked;
  return {
    url,
    client,
    log,
    close: async () => {
      client.close();
      await side.server.close();
      await side.close();
      await kept.close();
    },
  };
}
