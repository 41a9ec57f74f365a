import { join, resolve } from 'node:path';
import { existsSync, statSync } from 'node:fs';
import { ConfigError, configFromObject, defaultConfig, formatProblem, loadConfig } from '#config';
import type { Config } from '#config';
import { ControlRefusal } from '#control';
import type { ControlArguments } from '#control';
import { openLog } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { openKeeperSide } from '../app.ts';
import { askServer } from '../control/control-client.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import type { CommandIo } from './command.ts';

export interface ControlRun {
  /** The configuration of the server, or its storage folder; '': the embedded default. */
  readonly target: string;
  readonly command: string;
  /** May depend on the configuration that the target names. */
  readonly args: ControlArguments | ((config: Config) => ControlArguments);
  /** Print the result as JSON instead of text. */
  readonly json: boolean;
  /** The result in words, with a newline at the end. */
  readonly render: (result: unknown) => string;
  /** One line on how far the work is; `null` shows nothing. */
  readonly renderProgress?: (report: unknown) => string | null;
  /** What a part of the result, told while the work goes on, prints on stdout. */
  readonly printPart?: (report: unknown) => string;
  /** The exit code that a result means; 0 when absent. */
  readonly exitCode?: (result: unknown) => number;
}

/**
 * Runs a command on a storage folder: in the server that serves it, or here when nobody does. Gives the exit code;
 * a refusal is one line on stderr and the code 1.
 */
export function runControl(run: ControlRun, io: CommandIo): Promise<number> {
  return refusing(io, async () => {
    const result = await execute(configOf(run.target), run, io);
    io.stdout.write(run.json ? `${JSON.stringify(result, null, 2)}\n` : run.render(result));
    return run.exitCode?.(result) ?? 0;
  });
}

/** Runs the work of a command; what it refuses is told on stderr, with the code 1. */
export async function refusing(io: CommandIo, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) io.stderr.write(`Error: ${formatProblem(problem)}\n`);
      return 1;
    }
    if (!(error instanceof ControlRefusal) && !(error instanceof StartError)) throw error;
    io.stderr.write(`Error: ${error.message}\n`);
    return 1;
  }
}

/**
 * A folder stands for a configuration that names it and nothing else.
 *
 * @throws ConfigError or ControlRefusal where there is neither.
 */
export function configOf(target: string): Config {
  if (target === '') return defaultConfig();
  const stats = statSync(target, { throwIfNoEntry: false });
  if (stats === undefined) {
    const what = 'name the configuration of the server, or its storage folder';
    throw new ControlRefusal(`there is no ${target}: ${what}`);
  }
  if (!stats.isDirectory()) return loadConfig(target).config;
  return configFromObject({ storage: { rootDirectory: target } }).config;
}

async function execute(config: Config, run: ControlRun, io: CommandIo): Promise<unknown> {
  const onProgress = (report: unknown): void => {
    if (run.printPart !== undefined) io.stdout.write(run.printPart(report));
    const line = run.renderProgress?.(report) ?? null;
    if (line !== null) io.stderr.write(`${line}\n`);
  };
  const ownFolder = join(resolve(config.storage.rootDirectory), '_zot');
  if (existsSync(ownFolder)) {
    const call = { command: run.command, args: argumentsOf(run, config) };
    const answered = await askServer(controlSocketPath(ownFolder), call, onProgress);
    if (answered !== null) return answered.result;
  }
  if (!existsSync(config.storage.rootDirectory)) {
    throw new ControlRefusal(`there is no folder ${config.storage.rootDirectory}`);
  }
  return executeHere(config, run, { io, onProgress });
}

function argumentsOf({ args }: ControlRun, config: Config): ControlArguments {
  return typeof args === 'function' ? args(config) : args;
}

async function executeHere(
  config: Config,
  run: ControlRun,
  { io, onProgress }: { readonly io: CommandIo; readonly onProgress: (report: unknown) => void },
): Promise<unknown> {
  const log = openLog({ level: 'error', output: '', sink: io.stderr, audit: config.log.audit });
  const side = await openKeeperSide({ config, logger: log.logger, audit: log.audit, serving: false });
  // Background work does not keep a process alive by itself; a command that waits for it must.
  const alive = setInterval(() => undefined, 60_000);
  try {
    await side.walked;
    const signal = new AbortController().signal;
    return await side.commands.run(run.command, {
      args: argumentsOf(run, config),
      host: side.host,
      progress: onProgress,
      ready: async () => undefined,
      signal,
    });
  } finally {
    clearInterval(alive);
    await side.close();
    await log.flush();
  }
}
