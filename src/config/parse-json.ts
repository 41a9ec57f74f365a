import type { Path } from './problems.ts';

/**
 * A strict JSON parser (RFC 8259) that knows where everything stands: errors name line and column, and the
 * place of any value can be asked afterwards. Nesting is bounded, so that recursion is safe.
 */

export interface JsonDocument {
  readonly value: unknown;
  /** Keys that stand twice in one object; the last one counts, as in zot. */
  readonly duplicates: readonly Path[];
  /** The line, from 1, of the deepest part of the path that exists. */
  readonly findLine: (path: Path) => number | null;
}

/** The text is not JSON. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** @throws JsonSyntaxError with line and column */
export function parseJsonDocument(text: string, depthMax: number): JsonDocument {
  return new JsonReader(text, depthMax).document();
}

const space = /[ \t\n\r]*/y;
/** Where a text ends; whether it is well-formed is left to JSON.parse. */
const stringToken = /"[^"\\]*(?:\\[^][^"\\]*)*"/y;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const wordToken = /[A-Za-z_$'][\w$']*/y;
const words = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class JsonReader {
  readonly #text: string;
  readonly #depthMax: number;
  /** For every object and list: where each of its members begins. */
  readonly #places = new Map<object, Map<string | number, number>>();
  readonly #duplicates: Path[] = [];
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  document(): JsonDocument {
    const value = this.#value();
    if (this.#next() !== '') this.#fail(`expected the end of the file, found ${this.#found()}`);
    return { value, duplicates: this.#duplicates, findLine: (path) => this.#findLine(value, path) };
  }

  #value(): unknown {
    const next = this.#next();
    if (this.#path.length > this.#depthMax) this.#fail('the nesting is too deep');
    if (next === '{') return this.#object();
    if (next === '[') return this.#list();
    if (next === '"') return this.#string();
    const number = this.#take(numberToken);
    if (number !== null) return Number(number);
    const start = this.#at;
    const word = this.#take(wordToken);
    if (word !== null && words.has(word)) return words.get(word);
    this.#at = start;
    return this.#fail(`expected a value, found ${this.#found()}`);
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    const places = new Map<string | number, number>();
    this.#places.set(object, places);
    this.#at += 1;
    if (this.#skip('}')) return object;
    do {
      if (this.#next() !== '"') this.#fail(`expected a key in double quotes, found ${this.#found()}`);
      const start = this.#at;
      const key = this.#string();
      if (!this.#skip(':'))
        this.#fail(`expected ":" after the key ${JSON.stringify(key)}, found ${this.#found()}`);
      this.#path.push(key);
      if (places.has(key)) this.#duplicates.push([...this.#path]);
      places.set(key, start);
      // `__proto__` must become a key like any other, to be refused later.
      Object.defineProperty(object, key, {
        value: this.#value(),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      this.#path.pop();
    } while (this.#skip(','));
    if (!this.#skip('}')) this.#fail(`expected "," or "}", found ${this.#found()}`);
    return object;
  }

  #list(): unknown {
    const list: unknown[] = [];
    const places = new Map<string | number, number>();
    this.#places.set(list, places);
    this.#at += 1;
    if (this.#skip(']')) return list;
    do {
      this.#next();
      places.set(list.length, this.#at);
      this.#path.push(list.length);
      list.push(this.#value());
      this.#path.pop();
    } while (this.#skip(','));
    if (!this.#skip(']')) this.#fail(`expected "," or "]", found ${this.#found()}`);
    return list;
  }

  #string(): string {
    const start = this.#at;
    const token = this.#take(stringToken);
    if (token === null) return this.#fail('the text in double quotes does not end');
    try {
      return JSON.parse(token) as string;
    } catch {
      this.#at = start;
      return this.#fail('the text in double quotes holds a line break, or an escape that JSON does not have');
    }
  }

  /** Skips blanks and returns the next character; an empty text at the end. */
  #next(): string {
    this.#take(space);
    return this.#text.charAt(this.#at);
  }

  #skip(character: string): boolean {
    if (this.#next() !== character) return false;
    this.#at += 1;
    return true;
  }

  #take(token: RegExp): string | null {
    token.lastIndex = this.#at;
    const match = token.exec(this.#text);
    if (match === null) return null;
    this.#at = token.lastIndex;
    return match[0];
  }

  #found(): string {
    const next = this.#next();
    if (next === '') return 'the end of the file';
    if (next === '/' || next === '#') return 'a comment, which JSON does not have';
    return JSON.stringify(next);
  }

  #fail(problem: string): never {
    const { line, column } = placeOf(this.#text, this.#at);
    throw new JsonSyntaxError(`line ${line}, column ${column}: ${problem}`);
  }

  #findLine(root: unknown, path: Path): number | null {
    let offset: number | null = null;
    let value = root;
    for (const step of path) {
      const place =
        typeof value === 'object' && value !== null ? this.#places.get(value)?.get(step) : undefined;
      if (place === undefined) break;
      offset = place;
      value = (value as Record<string | number, unknown>)[step];
    }
    return offset === null ? null : placeOf(this.#text, offset).line;
  }
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
