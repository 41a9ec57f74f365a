import { parseByteSize } from '#lib/byte-size';
import { parseGoDuration } from '#lib/go-duration';
import { shorten } from './problems.ts';
import type { FreeSpace, LeafForm } from './schema/key.ts';

/**
 * Turns what stands in a file into the value of one key, as leniently as zot does: "8080" is a number, 8080
 * is a text, 1 is true. What cannot be turned is a message that says what was expected.
 */

/** The outcome for one value: a value, perhaps with a remark, or what is wrong. */
export type Coerced =
  | { readonly ok: true; readonly value: unknown; readonly warning?: string }
  | { readonly ok: false; readonly problem: string };

const good = (value: unknown): Coerced => ({ ok: true, value });
const bad = (problem: string): Coerced => ({ ok: false, problem });

/** A value as it is shown in a message: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return JSON.stringify(shorten(value));
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (value === null) return 'null';
  return value instanceof Date ? 'a date' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A number without an exponent, as Go writes numbers that become texts. */
function plainNumber(value: number): string {
  const written = String(value);
  if (!written.includes('e') || !Number.isFinite(value)) return written;
  return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(20).replace(/0+$/, '');
}

export function coerceText(value: unknown): Coerced {
  if (typeof value === 'string') return good(value);
  if (typeof value === 'number' || typeof value === 'bigint') return good(plainNumber(Number(value)));
  if (typeof value === 'boolean') return good(value ? '1' : '0');
  return bad(`expected a text, got ${show(value)}`);
}

const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const untruths = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False', '']);

export function coerceFlag(value: unknown): Coerced {
  if (typeof value === 'boolean') return good(value);
  if (typeof value === 'number' || typeof value === 'bigint') return good(Number(value) !== 0);
  if (typeof value === 'string' && truths.has(value)) return good(true);
  if (typeof value === 'string' && untruths.has(value)) return good(false);
  return bad(`expected true or false, got ${show(value)}`);
}

const wholeNumber = /^([+-]?)(0|[1-9]\d*|0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/;

export function coerceInteger(value: unknown): Coerced {
  const number = integerOf(value);
  if (number === null) return bad(`expected a whole number, got ${show(value)}`);
  if (!Number.isSafeInteger(number)) return bad(`${show(value)} is too large`);
  return good(number);
}

function integerOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? plusZero(Math.trunc(value)) : null;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value === '') return 0;
  const match = typeof value === 'string' ? wholeNumber.exec(value) : null;
  if (match === null) return null;
  return plusZero(Number(match[2]) * (match[1] === '-' ? -1 : 1));
}

/** Zero without a sign: `-0` would be shown and compared unlike `0`. */
function plusZero(value: number): number {
  return value === 0 ? 0 : value;
}

const decimalNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function coerceDecimal(value: unknown): Coerced {
  if (typeof value === 'string' && decimalNumber.test(value)) return coerceDecimal(Number(value));
  if (typeof value === 'boolean' || value === '' || typeof value === 'bigint')
    return coerceDecimal(Number(value));
  if (typeof value !== 'number') return bad(`expected a number, got ${show(value)}`);
  return Number.isFinite(value) ? good(plusZero(value)) : bad(`expected a finite number, got ${value}`);
}

const durationForm = 'a duration such as "30s", "5m" or "1h30m" (units: ns us ms s m h; a day is "24h")';

/** zot reads a bare number as nanoseconds, which is hardly ever what was meant. */
export function coerceDuration(value: unknown): Coerced {
  if (typeof value === 'number' && Number.isFinite(value)) {
    const durationMs = plusZero(Math.trunc(value) / 1e6);
    if (durationMs === 0 && value === 0) return good(0);
    const warning = `the bare number ${value} means nanoseconds; write a unit, such as "${value}ns" or "${value}s"`;
    return { ok: true, value: durationMs, warning };
  }
  if (typeof value !== 'string') return bad(`expected ${durationForm}, got ${show(value)}`);
  const durationMs = parseGoDuration(value);
  if (durationMs === null) return bad(`${show(value)} is not ${durationForm}`);
  return good(durationMs);
}

const portMax = 65_535;
const portDigits = /^[+-]?\d{1,10}$/;

export function coercePort(value: unknown): Coerced {
  const written = typeof value === 'number' ? plainNumber(value) : value;
  const invalid = `invalid port ${typeof written === 'string' ? shorten(written) : show(value)}`;
  const mend = 'write a whole number from 0 to 65535; 0 lets the kernel choose';
  if (written === '') return good(0);
  if (typeof written !== 'string' || !portDigits.test(written)) return bad(`${invalid}: ${mend}`);
  const number = plusZero(Number(written));
  return number >= 0 && number <= portMax ? good(number) : bad(`${invalid}: ${mend}`);
}

export function coerceSize(value: unknown): Coerced {
  const sizeBytes = typeof value === 'string' ? parseByteSize(value) : integerOf(value);
  if (typeof value === 'boolean' || sizeBytes === null || sizeBytes < 0 || !Number.isSafeInteger(sizeBytes)) {
    return bad(`expected a size such as "4MiB" or a number of bytes, got ${show(value)}`);
  }
  return good(sizeBytes);
}

const percentage = /^(\d{1,3}(?:\.\d+)?) ?%$/;

export function coerceFreeSpace(value: unknown): Coerced {
  const percent = typeof value === 'string' ? percentage.exec(value.trim()) : null;
  if (percent !== null) {
    const space: FreeSpace = { unit: 'percent', amount: Number(percent[1]) };
    return space.amount <= 100 ? good(space) : bad(`${show(value)} is more than the whole disk`);
  }
  const size = coerceSize(value);
  if (!size.ok)
    return bad(`expected a size such as "1GiB", a percentage such as "2%", or 0 for off, got ${show(value)}`);
  return good({ unit: 'bytes', amount: size.value });
}

/** zot's names of levels; several mean the same. */
const levels = new Map([
  ['debug', 'debug'],
  ['trace', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['fatal', 'error'],
  ['panic', 'error'],
]);

export function coerceLogLevel(value: unknown): Coerced {
  const level = typeof value === 'string' ? levels.get(value.toLowerCase()) : undefined;
  if (level !== undefined) return good(level);
  const written = typeof value === 'string' ? shorten(value) : show(value);
  return bad(`invalid log level '${written}', supported levels are: ${[...levels.keys()].join(', ')}`);
}

/** Reads a value whose form says more than its JSON type. */
export function coerceForm(form: Exclude<LeafForm, { kind: 'driver' }>, value: unknown): Coerced {
  switch (form.kind) {
    case 'duration':
      return coerceDuration(value);
    case 'port':
      return coercePort(value);
    case 'size':
      return coerceSize(value);
    case 'freeSpace':
      return coerceFreeSpace(value);
    case 'logLevel':
      return coerceLogLevel(value);
    case 'choice':
      return typeof value === 'string' && form.values.includes(value) ? good(value) : bad(form.refuse(value));
  }
}
