import type { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { WeightedLru } from '#lib/weighted-lru';
import { celEqual } from './equality.ts';
import { MATCHES } from './syntax-tree.ts';

/** Texts and patterns longer than this are not matched. */
const MATCHED_CHARS_MAX = 8192;
const PATTERN_CHARS_MAX = 1024;
const PATTERNS_KEPT = 200;
const SET_STEPS_MAX = 1_000_000;

const patterns = new WeightedLru<string, RE2JS>(PATTERNS_KEPT);

/** Regular expressions as CEL has them: RE2, which takes time in proportion to the text. */
export function registerMatches(environment: Environment): void {
  environment.registerFunction(`string.${MATCHES}(string): bool`, matches);
  environment.registerFunction('matches(string, string): bool', matches);
}

function matches(text: string, pattern: string): boolean {
  if (text.length > MATCHED_CHARS_MAX) throw new Error('the text is too long for matches()');
  return compiled(pattern).matcher(text).find();
}

function compiled(pattern: string): RE2JS {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > PATTERN_CHARS_MAX) throw new Error('the pattern is too long for matches()');
  const expression = RE2JS.compile(pattern);
  patterns.set(pattern, expression);
  return expression;
}

/** A constant that holds functions, since names of functions have no dots. */
class Sets {}
class Base64 {}

/** The extension "sets". */
export function registerSets(environment: Environment): void {
  environment.registerType('zot.Sets', { ctor: Sets, fields: {} });
  environment.registerConstant('sets', 'zot.Sets', new Sets());
  const within = (part: readonly unknown[], whole: readonly unknown[]): boolean =>
    part.every((wanted) => whole.some((member) => celEqual(wanted, member)));
  const contains = bounded((list, part) => within(part, list));
  environment.registerFunction('zot.Sets.contains(list, list): bool', (_sets, list, part) =>
    contains(list, part),
  );
  const equivalent = bounded((one, other) => within(one, other) && within(other, one));
  environment.registerFunction('zot.Sets.equivalent(list, list): bool', (_sets, one, other) =>
    equivalent(one, other),
  );
  const intersects = bounded((one, other) => one.some((member) => within([member], other)));
  environment.registerFunction('zot.Sets.intersects(list, list): bool', (_sets, one, other) =>
    intersects(one, other),
  );
}

function bounded(compare: (one: readonly unknown[], other: readonly unknown[]) => boolean) {
  return (one: Iterable<unknown>, other: Iterable<unknown>): boolean => {
    const [left, right] = [[...one], [...other]];
    if (left.length * right.length > SET_STEPS_MAX) throw new Error('the lists are too long to be compared');
    return compare(left, right);
  };
}

/** The extension "encoders"; as in Go, padding may be missing. */
export function registerEncoders(environment: Environment): void {
  environment.registerType('zot.Base64', { ctor: Base64, fields: {} });
  environment.registerConstant('base64', 'zot.Base64', new Base64());
  environment.registerFunction('zot.Base64.encode(bytes): string', (_base64, bytes: Uint8Array) =>
    Buffer.from(bytes).toString('base64'),
  );
  environment.registerFunction('zot.Base64.decode(string): bytes', (_base64, text: string) => {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error('the text is not base64');
    return new Uint8Array(Buffer.from(text, 'base64'));
  });
}

/** What the library's optional types lack. */
export function registerOptionals(environment: Environment): void {
  environment.registerFunction('zotIsZero(dyn): bool', isZero);
}

function isZero(value: unknown): boolean {
  if (value === null || value === false || value === '' || value === 0 || value === 0n) return true;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  return value instanceof Map
    ? value.size === 0
    : typeof value === 'object' && Object.keys(value).length === 0;
}
