/** zot's configuration: read, checked as a whole, completed, frozen. The one public face of src/config. */
export { configFromObject, defaultConfig, loadConfig, parseConfigText, type LoadedConfig } from './load.ts';
export { ConfigError, formatProblem, type ConfigProblem, type ConfigWarning } from './problems.ts';
export type { DurationMs, FreeSpace } from './schema/key.ts';
export type { Config, StoreConfig } from './schema/schema.ts';
