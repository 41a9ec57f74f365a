import type { Environment } from '@marcbachmann/cel-js';

/** Results longer than this are refused: a short expression could otherwise make them huge. */
const RESULT_CHARS_MAX = 65_536;

class Strings {}

/** What the library lacks of the extension "strings". */
export function registerStrings(environment: Environment): void {
  environment.registerFunction('string.charAt(int): string', (text: string, at: bigint) =>
    charAt(text, Number(at)),
  );
  environment.registerFunction(
    'string.replace(string, string): string',
    (text: string, from: string, to: string) => replace(text, [from, to], -1),
  );
  environment.registerFunction('string.replace(string, string, int): string', replaceSome);
  environment.registerFunction('string.reverse(): string', (text: string) =>
    Array.from(text).reverse().join(''),
  );
  environment.registerFunction('string.format(list): string', (text: string, values: Iterable<unknown>) =>
    format(text, [...values]),
  );
  environment.registerType('zot.Strings', { ctor: Strings, fields: {} });
  environment.registerConstant('strings', 'zot.Strings', new Strings());
  environment.registerFunction('zot.Strings.quote(string): string', (_strings, text: string) => quote(text));
}

function charAt(text: string, at: number): string {
  const characters = Array.from(text);
  if (at < 0 || at > characters.length) throw new Error(`index out of range: ${at}`);
  return characters[at] ?? '';
}

function replaceSome(text: string, from: string, to: string, count: bigint): string {
  return replace(text, [from, to], Number(count));
}

function replace(text: string, [from, to]: [string, string], count: number): string {
  const parts = from === '' ? ['', ...Array.from(text), ''] : text.split(from);
  const replaced = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  if (text.length + replaced * to.length > RESULT_CHARS_MAX)
    throw new Error('the result of replace() is too long');
  const head = parts.slice(0, replaced + 1).join(to);
  const tail = parts.slice(replaced + 1);
  return tail.length === 0 ? head : [head, ...tail].join(from);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

const VERB = /%(?:\.(\d{1,2}))?([a-zA-Z%])/g;

function format(text: string, values: readonly unknown[]): string {
  let next = 0;
  const result = text.replace(VERB, (_all, digits: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new Error('format() has fewer values than the text has places');
    const value = values[next];
    next += 1;
    return formatOne(verb, value, digits === undefined ? 6 : Number(digits));
  });
  if (result.length > RESULT_CHARS_MAX) throw new Error('the result of format() is too long');
  return result;
}

function formatOne(verb: string, value: unknown, digits: number): string {
  switch (verb) {
    case 's':
      return shown(value);
    case 'd':
      return String(whole(value));
    case 'f':
      return Number(value).toFixed(digits);
    case 'e':
      return Number(value)
        .toExponential(digits)
        .replace(/e([+-])(\d)$/, 'e$10$2');
    case 'b':
      return typeof value === 'boolean' ? String(Number(value)) : whole(value).toString(2);
    case 'o':
      return whole(value).toString(8);
    case 'x':
      return hex(value);
    case 'X':
      return hex(value).toUpperCase();
    default:
      throw new Error(`format() does not know %${verb}`);
  }
}

function whole(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'bigint')
    return value.value;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  throw new Error('format() needs a whole number here');
}

function hex(value: unknown): string {
  if (typeof value === 'string') return Buffer.from(value).toString('hex');
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : whole(value).toString(16);
}

function shown(value: unknown): string {
  if (value instanceof Date) return value.toISOString().replace(/\.?0*Z$/, 'Z');
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  return String(value);
}
