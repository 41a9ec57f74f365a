/** The pattern is no glob; the message says why. */
export class GlobSyntaxError extends Error {
  override readonly name = 'GlobSyntaxError';
}

/** A piece of a segment: takes one character, or any number of characters. */
export interface Token {
  readonly kind: 'one' | 'many';
  readonly takes: (character: string) => boolean;
}

const notSlash = (character: string): boolean => character !== '/';

/** Takes exactly this character. */
export function literal(wanted: string): Token {
  return { kind: 'one', takes: (character) => character === wanted };
}

/** Longer patterns are refused: what is read by recursion must be bounded. */
const patternLengthMax = 4096;

/** All expansions of one pattern together may not be longer. */
const expandedLengthMax = 65_536;

/**
 * Replaces braces by one pattern for each combination of alternatives: `a{b,c/{d,e}}` becomes `ab`, `ac/d`,
 * `ac/e`.
 * @throws GlobSyntaxError when braces do not pair up, or pattern or result are too large
 */
export function expandBraces(pattern: string): string[] {
  if (pattern.length > patternLengthMax)
    throw new GlobSyntaxError(`it is longer than ${patternLengthMax} characters`);
  const open = findUnquoted(pattern, 0, '{}');
  if (open === -1) return [pattern];
  if (pattern[open] === '}') throw new GlobSyntaxError('a "}" has no "{"');
  const { alternatives, end } = readAlternatives(pattern, open + 1);
  const heads = alternatives.flatMap(expandBraces);
  const tails = expandBraces(pattern.slice(end));
  const prefix = pattern.slice(0, open);
  if ((prefix.length + pattern.length) * heads.length * tails.length > expandedLengthMax) {
    throw new GlobSyntaxError('the braces hold too many combinations');
  }
  return heads.flatMap((head) => tails.map((tail) => prefix + head + tail));
}

/** Reads the alternatives behind a brace, nested braces left in place. */
function readAlternatives(pattern: string, from: number): { alternatives: string[]; end: number } {
  const alternatives: string[] = [];
  let depth = 0;
  let start = from;
  for (let at = from; ; at++) {
    at = findUnquoted(pattern, at, '{},');
    if (at === -1) throw new GlobSyntaxError('a "{" has no "}"');
    const character = pattern[at];
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    else if (depth === 0) {
      alternatives.push(pattern.slice(start, at));
      start = at + 1;
      if (character === '}') return { alternatives, end: at + 1 };
    }
  }
}

/** The first of the wanted characters that is neither escaped nor in a class, or -1. */
function findUnquoted(pattern: string, from: number, wanted: string): number {
  for (let at = from; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (wanted.includes(character)) return at;
    if (character === '\\') at += 1;
    else if (character === '[') at = endOfClass(pattern, at);
  }
  return -1;
}

/** Splits a pattern without braces at its slashes. */
export function splitComponents(pattern: string): string[] {
  const components: string[] = [];
  let start = 0;
  for (let at = findUnquoted(pattern, 0, '/'); at !== -1; at = findUnquoted(pattern, start, '/')) {
    components.push(pattern.slice(start, at));
    start = at + 1;
  }
  return [...components, pattern.slice(start)];
}

/** The index of the `]` that closes the class. */
function endOfClass(pattern: string, open: number): number {
  for (let at = open + 1; at < pattern.length; at++) {
    if (pattern[at] === '\\') at += 1;
    else if (pattern[at] === ']') return at;
  }
  throw new GlobSyntaxError('a "[" has no "]"');
}

/** Reads one segment. @throws GlobSyntaxError on a malformed class or a backslash at the end */
export function parseComponent(component: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < component.length; at++) {
    const character = component.charAt(at);
    if (character === '*') {
      if (tokens.at(-1)?.kind !== 'many') tokens.push({ kind: 'many', takes: notSlash });
    } else if (character === '?') {
      tokens.push({ kind: 'one', takes: notSlash });
    } else if (character === '[') {
      const end = endOfClass(component, at);
      tokens.push(parseClass(component.slice(at + 1, end)));
      at = end;
    } else {
      const read = readCharacter(component, at);
      tokens.push(literal(read.character));
      at = read.next - 1;
    }
  }
  return tokens;
}

/** Reads one character, escaped or not; a pair of surrogates is one. */
function readCharacter(text: string, from: number): { character: string; next: number } {
  const at = text[from] === '\\' ? from + 1 : from;
  const code = text.codePointAt(at);
  if (code === undefined) throw new GlobSyntaxError('a "\\" at the end escapes nothing');
  const character = String.fromCodePoint(code);
  return { character, next: at + character.length };
}

function parseClass(inner: string): Token {
  const isNegated = inner.startsWith('^') || inner.startsWith('!');
  const ranges: (readonly [from: string, to: string])[] = [];
  for (let at = isNegated ? 1 : 0; at < inner.length;) {
    const from = readEdge(inner, at);
    const isRange = inner[from.next] === '-';
    const to = isRange ? readEdge(inner, from.next + 1) : from;
    ranges.push([from.character, to.character]);
    at = to.next;
  }
  if (ranges.length === 0) throw new GlobSyntaxError('a class "[]" is empty');
  const holds = (character: string): boolean =>
    ranges.some(([from, to]) => compare(from, character) <= 0 && compare(character, to) <= 0);
  return { kind: 'one', takes: (character) => notSlash(character) && holds(character) !== isNegated };
}

function readEdge(inner: string, at: number): { character: string; next: number } {
  if (at >= inner.length || inner[at] === '-') {
    throw new GlobSyntaxError(`a "-" in the class "[${inner}]" has no character on both sides; write "\\-"`);
  }
  return readCharacter(inner, at);
}

function compare(a: string, b: string): number {
  return (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0);
}
