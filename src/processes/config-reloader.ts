/**
 * Takes over a changed configuration while the server runs (design, section 5): whole or not at all.
 *
 * Owns: the configuration in force. A file that cannot be used, or that a part of the server refuses, leaves it as
 * it is; the log says so loudly. Changes are taken one after the other; those that come while one is under way are
 * taken together after it.
 */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, filesOfConfig, formatProblem, halfGuarded, mergeReloadable, redact } from '#config';
import type { Config, LoadedConfig } from '#config';
import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { Prepared } from '#lib/prepared';
import { StartError } from '#lib/start-error';
import { WatchedPaths } from '#lib/watched-paths';

export interface ReloaderParts {
  /** The configuration file. */
  readonly path: string;
  /** What the server was started with. */
  readonly config: Config;
  /** Reads and checks the whole file; throws `ConfigError`. */
  readonly load: () => LoadedConfig;
  /** Prepares every part of the server; throws `StartError` when one refuses. */
  readonly prepare: (config: Config) => Promise<Prepared>;
  readonly logger: Logger;
  /** Hears of every change, taken over or refused. */
  readonly audit: AuditLog;
}

/** zot's words, which users look for. */
const TRYING = 'config file changed, trying to reload config';
const FAILED = 'failed to reload config, retry writing it.';
const LOADED = 'loaded new configuration settings';

export class ConfigReloader {
  #parts: ReloaderParts;
  #logger: Logger;
  #config: Config;
  /** What the file said when it was last taken. */
  #written: Config;
  #watched: WatchedPaths;
  #work: Promise<void> = Promise.resolve();
  #waiting = false;
  #generation = 1;

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
    this.#logger = parts.logger.child({ component: 'config' });
    this.#config = parts.config;
    this.#written = parts.config;
    this.#watched = new WatchedPaths(this.#files(parts.config), (isFirst) => this.#schedule(isFirst));
  }

  /** Looks no more, and waits for a change under way. */
  async close(): Promise<void> {
    this.#watched.close();
    await this.#work;
  }

  #files(config: Config): readonly string[] {
    return [this.#parts.path, ...filesOfConfig(config)];
  }

  #schedule(isFirst: boolean): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#work = this.#work.then(() => {
      this.#waiting = false;
      return this.#reload(isFirst);
    });
  }

  async #reload(isFirst: boolean): Promise<void> {
    try {
      if (!isFirst) this.#logger.info({ path: this.#parts.path }, TRYING);
      const { config: wanted, warnings } = this.#parts.load();
      if (isFirst && isDeepStrictEqual(wanted, this.#written)) return;
      for (const { path, message } of warnings) this.#logger.warn({ key: path }, message);
      await this.#take(wanted);
    } catch (error) {
      this.#logger.error({ problems: problemsOf(error), generation: this.#generation }, FAILED);
      this.#auditReload('refused');
    }
  }

  #auditReload(outcome: 'allowed' | 'refused'): void {
    this.#parts.audit.event({ action: 'reload', subject: '', object: this.#parts.path, outcome });
  }

  async #take(wanted: Config): Promise<void> {
    const merged = mergeReloadable(this.#config, wanted);
    const refusal = halfGuarded(merged);
    if (refusal !== null) throw new StartError(refusal);
    const prepared = await this.#parts.prepare(merged.config);
    await prepared.commit();
    this.#config = merged.config;
    this.#written = wanted;
    this.#generation += 1;
    this.#watched.watch(this.#files(wanted));
    const { applied, needsRestart } = merged;
    const generation = this.#generation;
    this.#auditReload('allowed');
    this.#logger.info({ generation, changed: applied, 'reloaded params': redact(merged.config) }, LOADED);
    if (needsRestart.length > 0)
      this.#logger.warn({ generation, keys: needsRestart }, 'these changes wait for a restart');
  }
}

/** What a user can mend comes as its words; a fault of ours with its stack. */
function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(formatProblem);
  if (error instanceof StartError) return [error.message];
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
}
