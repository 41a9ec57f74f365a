import { parse as parseTomlText, TomlError } from 'smol-toml';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { JsonSyntaxError, parseJsonDocument } from './parse-json.ts';
import { ConfigError, type Path } from './problems.ts';

export type ConfigFormat = 'json' | 'yaml' | 'toml';

/** What a text says, and where. */
export interface ParsedText {
  readonly value: unknown;
  /** Keys given twice where the format lets the last one count. */
  readonly duplicates: readonly Path[];
  /** Remarks of the parser. */
  readonly remarks: readonly string[];
  /** The line, from 1, of the deepest part of the path that exists; null where the format does not tell. */
  readonly findLine: (path: Path) => number | null;
}

/** Deeper nesting is refused; the configuration itself needs about ten levels. */
const depthMax = 64;

export const tooDeep = `the nesting is deeper than ${depthMax} levels`;

/** The format by the ending of the file name, in any case, or null. */
export function formatOfName(path: string): ConfigFormat | null {
  const ending = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  if (ending === 'yml') return 'yaml';
  return ending === 'json' || ending === 'yaml' || ending === 'toml' ? ending : null;
}

/**
 * Parses a text. Without a format JSON, TOML and YAML are tried in this order; when none fits, the error is
 * the one of the format that the text looks like.
 * @throws ConfigError naming line and column
 */
export function parseText(text: string, format: ConfigFormat | null): ParsedText {
  if (format !== null) return parsers[format](text);
  const failures = new Map<ConfigFormat, ConfigError>();
  for (const candidate of ['json', 'toml', 'yaml'] as const) {
    try {
      const parsed = parsers[candidate](text);
      // Any line of words is YAML: a text.
      if (typeof parsed.value !== 'string') return parsed;
      failures.set(candidate, syntaxError(candidate, 'it has no keys'));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      failures.set(candidate, error);
    }
  }
  throw failures.get(plausibleFormat(text)) ?? syntaxError('json', 'not readable');
}

const parsers = { json: parseJson, yaml: parseYaml, toml: parseToml } as const;

/** What a broken text was most likely meant to be. */
function plausibleFormat(text: string): ConfigFormat {
  if (/^\s*[{[]\s*(["}\]]|$)/.test(text)) return 'json';
  const isToml = /^[ \t]*(\[{1,2}[\w."'-]+\]{1,2}[ \t]*(#.*)?|[\w."'-]+[ \t]*=.*)$/m.test(text);
  return isToml ? 'toml' : 'yaml';
}

function syntaxError(format: ConfigFormat, message: string, cause?: unknown): ConfigError {
  const problem = { path: '', message: `the file is not valid ${format.toUpperCase()}: ${message}` };
  return new ConfigError([problem], [], { cause });
}

function parseJson(text: string): ParsedText {
  try {
    return { ...parseJsonDocument(text, depthMax), remarks: [] };
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw syntaxError('json', error.message, error);
    throw error;
  }
}

function parseToml(text: string): ParsedText {
  try {
    const value: unknown = parseTomlText(text, { maxDepth: depthMax });
    if (isTooDeep(value)) throw syntaxError('toml', tooDeep);
    return { value, duplicates: [], remarks: [], findLine: () => null };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [headline = ''] = error.message.split('\n');
    const reason = headline.replace(/^Invalid TOML document: /, '');
    throw syntaxError('toml', `line ${error.line}, column ${error.column}: ${reason}`, error);
  }
}

/** More faults of one text than this are not listed. */
const faultsMax = 10;

interface Fault {
  readonly message: string;
  readonly offset: number;
}

function parseYaml(text: string): ParsedText {
  const lines = new LineCounter();
  // The parser's own search for duplicate keys takes quadratic time.
  const options = { merge: true, prettyErrors: false, stringKeys: true, uniqueKeys: false } as const;
  const document = parseDocument(text, { ...options, lineCounter: lines });
  const faults: Fault[] = document.errors.map(({ message, pos }) => ({
    message: mildly(message),
    offset: pos[0],
  }));
  const tooDeepFault = faults.find(({ message }) => message === tooDeep);
  if (tooDeepFault !== undefined) faults.splice(0, faults.length, tooDeepFault);
  if (faults.length === 0) faults.push(...duplicateKeys(document));
  if (faults.length > 0) {
    const problems = faults.slice(0, faultsMax).map(({ message, offset }) => {
      const { line, col } = lines.linePos(offset);
      return { path: '', message: `the file is not valid YAML: line ${line}, column ${col}: ${message}` };
    });
    throw new ConfigError(problems, [], { cause: document.errors[0] });
  }
  return {
    value: yamlValue(document),
    duplicates: [],
    remarks: document.warnings.map(({ message }) => message),
    findLine: (path) => findYamlLine(document, lines, path),
  };
}

/** The parser recurses, and reports the end of its stack as a fault of the text. */
function mildly(message: string): string {
  return message.includes('call stack') ? tooDeep : message;
}

function duplicateKeys(document: Document.Parsed): Fault[] {
  const faults: Fault[] = [];
  visit(document, {
    Map(_key, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key) || key.value === '<<') continue;
        if (seen.has(key.value)) {
          faults.push({
            message: `the key "${String(key.value)}" stands twice`,
            offset: key.range?.[0] ?? 0,
          });
        }
        seen.add(key.value);
      }
    },
  });
  return faults;
}

function yamlValue(document: Document.Parsed): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (isTooDeep(value)) throw syntaxError('yaml', tooDeep);
    return value;
  } catch (error) {
    if (error instanceof ReferenceError) throw syntaxError('yaml', error.message, error);
    throw error;
  }
}

function findYamlLine(document: Document.Parsed, lines: LineCounter, path: Path): number | null {
  let node: unknown = document.contents;
  let offset: number | null = null;
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === step) : undefined;
    const item: unknown = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined;
    const place = pair?.key ?? item;
    if (!isNode(place) || !place.range) break;
    offset = place.range[0];
    node = pair === undefined ? item : pair.value;
  }
  return offset === null ? null : lines.linePos(offset).line;
}

/** More values than this are refused; a text of 4 MiB holds fewer. */
const valuesMax = 4_000_000;

/**
 * Whether a tree is deeper, or larger, than any configuration. Walks without recursion: it may be endless.
 */
export function isTooDeep(root: unknown): boolean {
  let level: unknown[] = [root];
  let count = 0;
  for (let depth = 0; level.length > 0; depth++) {
    count += level.length;
    if (depth > depthMax || count > valuesMax) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return false;
}
