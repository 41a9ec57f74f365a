/** zot's configuration: read, checked as a whole, completed, frozen. The one public face of src/config. */
export {
  configFromObject,
  defaultConfig,
  loadConfig,
  parseConfigText,
  type LoadedConfig,
  type LoadOptions,
} from './load.ts';
export { ConfigError, formatProblem, type ConfigProblem, type ConfigWarning } from './problems.ts';
export { features, unsupportedSections, type Feature, type UnsupportedSection } from './features.ts';
export { findMissingFiles } from './missing-files.ts';
export { redact } from './redact.ts';
export { configJsonSchema, type JsonSchema } from './json-schema.ts';
export type { DurationMs, FreeSpace } from './schema/key.ts';
export type { Config, StoreConfig } from './schema/schema.ts';
export { halfGuarded, mergeReloadable, type MergedConfig } from './reload/merge-reloadable.ts';
export { filesOfConfig } from './reload/watched-files.ts';
