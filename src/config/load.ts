import { closeSync, openSync, readSync } from 'node:fs';
import { deepFreeze } from '#lib/deep-freeze';
import { isHollow, isPlainObject, normalise, type Normalised } from './normalise.ts';
import { formatOfName, parseText, type ConfigFormat, type ParsedText } from './parse.ts';
import {
  ConfigError,
  formatPath,
  Report,
  type ConfigProblem,
  type ConfigWarning,
  type Path,
} from './problems.ts';
import { configSchema, type Config } from './schema.ts';

/** A configuration that can be used, and what its owner should know about it. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
}

/** Larger files are refused before they are read to the end. */
const fileBytesMax = 4 * 1_048_576;

/**
 * Reads, checks and completes a configuration file. Reads the secret files that it names, and nothing else; writes
 * nothing. The format follows the ending of the name; without a known one JSON, TOML and YAML are tried.
 * @throws ConfigError listing everything that is wrong, each with the user's key path
 */
export function loadConfig(path: string): LoadedConfig {
  return parseConfigText(readConfigFile(path), formatOfName(path));
}

/** The same for a text. @throws ConfigError */
export function parseConfigText(text: string, format: ConfigFormat | null): LoadedConfig {
  const parsed = parseText(text.replace(/^\uFEFF/, ''), format);
  const isEmpty =
    parsed.value === null || parsed.value === undefined || parsed.value === '' || isHollow(parsed.value);
  if (isEmpty) {
    throw failure('failed to load config due to the absence of any key:value pair');
  }
  return complete(parsed);
}

/**
 * The same for an object such as a parsed file holds: any-case keys, durations as texts. An empty object gives zot's
 * defaults. @throws ConfigError
 */
export function configFromObject(object: unknown): LoadedConfig {
  return complete({ value: object ?? {}, duplicates: [], remarks: [], findLine: () => null });
}

/** The configuration of a start without a file: local address, local folder, Docker's media types accepted. */
export function defaultConfig(): Config {
  return configFromObject({
    storage: { rootDirectory: './zot-data' },
    http: { address: '127.0.0.1', port: 5000, compat: ['docker2s2'] },
  }).config;
}

function failure(message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ path: '', message: `invalid server config: ${message}` }], [], { cause });
}

function readConfigFile(path: string): string {
  const buffer = Buffer.alloc(fileBytesMax + 1);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let read = 1; read > 0 && length < buffer.length; length += read) {
        read = readSync(file, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw failure(
      `the file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  if (length > fileBytesMax) throw failure(`the file ${path} is larger than 4 MiB; no configuration is`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    throw failure(`the file ${path} is not text in UTF-8`, error);
  }
}

function complete(parsed: ParsedText): LoadedConfig {
  const report = new Report();
  for (const remark of parsed.remarks) report.warn([], remark);
  for (const path of parsed.duplicates) report.warn(path, 'the key stands twice; the last one counts');
  if (!isPlainObject(parsed.value))
    report.error([], 'expected an object with keys such as storage, http, log');
  const normalised = isPlainObject(parsed.value)
    ? normalise(parsed.value, configSchema, report)
    : { value: {}, spell: (path: Path) => path };
  const config = check(normalised, report);
  const describe = describer(parsed, normalised);
  const errors = report.errors(describe);
  const warnings = report.warnings(describe);
  if (errors.length > 0 || config === null) throw new ConfigError(errors, warnings);
  return { config, warnings };
}

function check(normalised: Normalised, report: Report): Config | null {
  const result = configSchema.safeParse(normalised.value);
  if (!result.success) {
    for (const issue of result.error.issues) {
      report.error(
        issue.path.filter((step) => typeof step !== 'symbol'),
        issue.message,
      );
    }
    return null;
  }
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
