import { deepFreeze } from '#lib/deep-freeze';
import { isHollow, isPlainObject, normalise, type Normalised } from './normalise.ts';
import { formatOfName, isTooDeep, parseText, tooDeep, type ConfigFormat, type ParsedText } from './parse.ts';
import {
  ConfigError,
  formatPath,
  Report,
  type ConfigProblem,
  type ConfigWarning,
  type Path,
} from './problems.ts';
import { FileReadError, readTextFile } from './read-file.ts';
import type { ExpressionCheck } from './rules/rule-context.ts';
import { rules } from './rules/rules.ts';
import { configSchema, type Config } from './schema/schema.ts';

/** A configuration that can be used, and what its owner should know about it. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
}

export interface LoadOptions {
  /** Compiles the CEL expressions of conditions, where the build can. */
  readonly checkExpression?: ExpressionCheck;
}

/**
 * Reads, checks and completes a configuration file. Reads the secret files that it names, and nothing else;
 * writes nothing. The format follows the ending of the name; without a known one JSON, TOML and YAML are
 * tried.
 * @throws ConfigError listing everything that is wrong, each with the user's key path
 */
export function loadConfig(path: string, options: LoadOptions = {}): LoadedConfig {
  return parseConfigText(readConfigFile(path), formatOfName(path), options);
}

/** The same for a text; without a format JSON, TOML and YAML are tried. @throws ConfigError */
export function parseConfigText(
  text: string,
  format: ConfigFormat | null,
  options: LoadOptions = {},
): LoadedConfig {
  const parsed = parseText(text.replace(/^\uFEFF/, ''), format);
  const isEmpty = parsed.value === null || parsed.value === undefined || isHollow(parsed.value);
  if (isEmpty) throw failure('failed to load config due to the absence of any key:value pair');
  return complete(parsed, options);
}

/**
 * The same for an object such as a parsed file holds: any-case keys, durations as texts. An empty object
 * gives the defaults. @throws ConfigError
 */
export function configFromObject(object: unknown, options: LoadOptions = {}): LoadedConfig {
  if (isTooDeep(object)) throw failure(tooDeep);
  return complete({ value: object, duplicates: [], remarks: [], findLine: () => null }, options);
}

/**
 * The configuration of a start without a file: local address, local folder, Docker's media types accepted.
 */
export function defaultConfig(): Config {
  return configFromObject({
    storage: { rootDirectory: './zot-data', undo: '24h' },
    http: { address: '127.0.0.1', port: 5000, compat: ['docker2s2'] },
  }).config;
}

function failure(message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ path: '', message: message }], [], { cause });
}

function readConfigFile(path: string): string {
  try {
    return readTextFile(path);
  } catch (error) {
    if (error instanceof FileReadError) throw failure(error.message, error);
    throw error;
  }
}

function complete(parsed: ParsedText, options: LoadOptions): LoadedConfig {
  const report = new Report();
  for (const remark of parsed.remarks) report.warn([], remark);
  for (const path of parsed.duplicates) report.warn(path, 'the key stands twice; the last one counts');
  if (!isPlainObject(parsed.value)) {
    throw failure('expected an object with keys such as storage, http and log');
  }
  const normalised = normalise(parsed.value, configSchema, report);
  const config = check(normalised, report, options);
  const describe = describer(parsed, normalised);
  const errors = report.errors(describe);
  const warnings = report.warnings(describe);
  if (errors.length > 0 || config === null) throw new ConfigError(errors, warnings);
  return { config, warnings };
}

function check(normalised: Normalised, report: Report, options: LoadOptions): Config | null {
  report.endReading();
  const result = configSchema.safeParse(normalised.value);
  if (!result.success) {
    for (const issue of result.error.issues) {
      report.error(
        issue.path.filter((step) => typeof step !== 'symbol'),
        // zod's own words for a key that is needed speak of its inside.
        issue.message.endsWith('received undefined') ? 'this key is needed, and missing' : issue.message,
      );
    }
    return null;
  }
  for (const rule of rules) rule({ config: result.data, given: normalised.value, report, ...options });
  return deepFreeze(result.data);
}

/** Turns a canonical place into the user's words, with the line where the format tells it. */
function describer(parsed: ParsedText, normalised: Normalised) {
  return (path: Path, message: string): ConfigProblem => {
    const written = normalised.spell(path);
    const line = parsed.findLine(written);
    return { path: formatPath(written), message, ...(line === null ? {} : { line }) };
  };
}
