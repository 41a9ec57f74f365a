import { ConfigError, defaultConfig, formatProblem, loadConfig } from '#config';
import type { Config, ConfigWarning } from '#config';
import { buildInfo } from '#lib/build-info';
import { openLog } from '#lib/logger';
import type { Log, Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { trimMemoryWhenReady } from '#lib/trim-memory';
import { tuneHeap } from '#lib/tune-heap';
import { ConfigReloader } from '../processes/config-reloader.ts';
import { listenAddress } from '../processes/listen.ts';
import type { ListenAddress } from '../processes/listen.ts';
import { requireFeatures } from '../processes/missing-features.ts';
import { ServerSignals } from '../processes/server-signals.ts';
import type { SignalTarget } from '../processes/server-signals.ts';
import { refuseFips } from '../processes/refuse-fips.ts';
import { startSingle } from '../processes/single.ts';
import type { RunningServer } from '../processes/single.ts';

export interface ServeArguments {
  /** The configuration file; absent: the embedded default. */
  readonly path?: string;
  readonly strict: boolean;
  readonly forceReparse: boolean;
}

type Running = RunningServer & SignalTarget;

/** `zot serve`: runs until it is told to stop. Gives the exit code. */
export async function serveCommand(args: ServeArguments): Promise<number> {
  tuneHeap();
  let log: Log | undefined;
  try {
    refuseFips();
    const { config, warnings } = load(args);
    log = openLog(config.log);
    const signals = new ServerSignals(log);
    announce(config, warnings, log.logger);
    requireFeatures(config, { strict: args.strict, logger: log.logger });
    const running = await start(config, log, args);
    signals.attach(running);
    greet(config, running.url);
    log.logger.info({ url: running.url }, 'listening');
    void log.flush();
    trimMemoryWhenReady();
    const reloader =
      args.path === undefined ? null : watchConfig({ ...args, path: args.path }, config, running, log);
    const signal = await signals.stop;
    log.logger.info({ signal }, 'received signal');
    await reloader?.close();
    await running.stop();
    log.logger.info('stopped');
    return 0;
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) process.stderr.write(`Error: ${formatProblem(problem)}\n`);
      return 1;
    }
    if (error instanceof StartError) {
      process.stderr.write(`Error: ${error.message}\n`);
      return 1;
    }
    throw error;
  } finally {
    await log?.flush();
  }
}

function load(args: ServeArguments): { config: Config; warnings: readonly ConfigWarning[] } {
  return args.path === undefined ? { config: defaultConfig(), warnings: [] } : loadConfig(args.path);
}

function announce(config: Config, warnings: readonly ConfigWarning[], logger: Logger): void {
  const { version, commit, binaryType } = buildInfo;
  logger.info(
    { version, commit, 'binary-type': binaryType, node: process.version, pid: process.pid },
    'starting',
  );
  for (const { path, message } of warnings) logger.warn({ key: path }, message);
  if (!config.storage.commit) {
    logger.warn(
      { key: 'storage.commit' },
      'commit is off: pushes that were answered may be lost in a power cut',
    );
  }
}

async function start(config: Config, log: Log, args: ServeArguments): Promise<Running> {
  const address = listenAddress(config.http.address, config.http.port);
  if (args.forceReparse) await forgetIndex(config);
  if (!severalCanServe(config, address, log.logger) || 'path' in address) return startSingle(config, log);
  const { startSupervisor } = await import('../processes/supervisor.ts');
  return startSupervisor(config, address, log);
}

function severalCanServe(config: Config, address: ListenAddress, logger: Logger): boolean {
  if (config.http.workers === 1) return false;
  const reason =
    'path' in address
      ? 'a Unix socket is served by one process'
      : process.platform === 'linux'
        ? null
        : 'only Linux spreads the connections of one port over several processes';
  if (reason !== null) logger.info({ key: 'http.workers' }, `one process serves: ${reason}`);
  return reason === null;
}

/** `--force-reparse`: the index is disposable, so it is simply removed. */
async function forgetIndex(config: Config): Promise<void> {
  const { removeIndex } = await import('../app.ts');
  removeIndex(config);
}

/** One friendly line, for people; programs read the log. */
function greet(config: Config, url: string): void {
  const shown = url.replace('[::]', 'localhost').replace('0.0.0.0', 'localhost');
  const host = shown.replace(/^https?:\/\//, '');
  const insecure = url.startsWith('http:') ? ' --dest-tls-verify=false' : '';
  const hint = url.startsWith('unix:')
    ? `curl --unix-socket ${url.slice('unix:'.length)} http://localhost/v2/`
    : `skopeo copy${insecure} docker://alpine docker://${host}/alpine`;
  process.stderr.write(
    `zot is ready at ${shown}, storing in ${config.storage.rootDirectory}. Try: ${hint}\n`,
  );
}

/** Takes over changes of the configuration file and of the files that it names. */
function watchConfig(
  { path, strict }: ServeArguments & { readonly path: string },
  config: Config,
  running: Running,
  log: Log,
): ConfigReloader {
  return new ConfigReloader({
    path,
    config,
    load: () => loadConfig(path),
    logger: log.logger,
    audit: log.audit,
    prepare: async (changed) => {
      requireFeatures(changed, { strict, logger: log.logger });
      const prepared = await running.prepare(changed);
      return {
        discard: () => prepared.discard(),
        commit: async () => {
          await prepared.commit();
          log.setLevel(changed.log.level);
        },
      };
    },
  });
}
