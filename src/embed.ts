/**
 * The public entry for programs that embed the registry.
 *
 *   const registry = await createRegistry({ storage: { rootDirectory: './data' } });
 *   await registry.start();
 *   console.log(registry.address());
 *   await registry.stop();
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { configFromObject } from '#config';
import type { Config } from '#config';
import { openAuditLog } from '#lib/audit-log';
import type { AuditLog } from '#lib/audit-log';
import { openLog } from '#lib/logger';
import type { Log, Logger } from '#lib/logger';
import type { StorageDriver } from '#storage';
import { openKeeperSide, openServingSide } from './app.ts';
import type { KeeperSide, ServingSide } from './app.ts';
import { listen, listenAddress } from './processes/listen.ts';
import { requireFeatures } from './processes/missing-features.ts';
import { drain } from './processes/serve-one.ts';

export type { Config, Logger, StorageDriver };

export interface EmbedOptions {
  /** Instead of the default store of the configuration; `storage.rootDirectory` still holds the databases. */
  readonly driver?: StorageDriver;
  /** A pino logger; absent: as the configuration's `log` section says. */
  readonly logger?: Logger;
}

export interface EmbeddedRegistry {
  /** Opens the port of the configuration and gives the URL. Not needed when only `handler` is used. */
  start(): Promise<string>;
  /** The URL it listens on; `null` before `start` and after `stop`. */
  address(): string | null;
  /**
   * Answers one request, for mounting in another HTTP server: pass it everything below `/v2/` (and `/livez`,
   * `/readyz`, `/startupz` if they are wanted). The body must not have been read.
   */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Lets running requests finish, within `http.shutdownGrace`, writes down what is held and frees the folder. */
  stop(): Promise<void>;
}

/**
 * A registry in this process: keeper and serving side, one folder, as `zot serve` with one worker. `config` is zot's
 * configuration as an object; throws `ConfigError` for what is wrong in it and `StartError` when the folder is in use.
 */
export async function createRegistry(
  config: Readonly<Record<string, unknown>>,
  options: EmbedOptions = {},
): Promise<EmbeddedRegistry> {
  const checked = configFromObject(config).config;
  const log = options.logger === undefined ? openLog(checked.log) : null;
  const logger = options.logger ?? (log as Log).logger;
  const audit = log?.audit ?? openAuditLog(checked.log.audit);
  requireFeatures(checked, { strict: false, logger });
  const { driver } = options;
  const kept = await openKeeperSide({
    config: checked,
    logger,
    audit,
    ...(driver === undefined ? {} : { driver }),
  });
  try {
    return await serveEmbedded(checked, kept, { logger, log, audit });
  } catch (error) {
    await kept.close();
    throw error;
  }
}

async function serveEmbedded(
  config: Config,
  kept: KeeperSide,
  { logger, log, audit }: { logger: Logger; log: Log | null; audit: AuditLog },
): Promise<EmbeddedRegistry> {
  const { keeper, storage, index } = kept;
  const side: ServingSide = await openServingSide({ config, logger, audit, keeper, storage, index });
  await side.server.ready();
  let url: string | null = null;
  return {
    start: async () => {
      const secure = config.http.tls !== undefined;
      url ??= await listen(side.server, listenAddress(config.http.address, config.http.port), {
        secure,
        shared: false,
      });
      return url;
    },
    address: () => url,
    handler: (request, response) => side.server.routing(request, response),
    stop: async () => {
      url = null;
      await drain(side, config.http.shutdownGrace, logger);
      await kept.close();
      await Promise.all([log?.flush(), audit.flush()]);
    },
  };
}
