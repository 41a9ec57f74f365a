import type { z } from 'zod';
import { formatByteSize } from '#lib/byte-size';
import { formatGoDuration } from '#lib/go-duration';
import type { FreeSpace } from './schema/key.ts';
import { configSchema } from './schema/schema.ts';
import {
  declaredDefault,
  shapeOf,
  unwrap,
  type KeyShape,
  type LeafShape,
  type Shape,
} from './schema/walk.ts';

/** A JSON Schema, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema (draft 7) of the configuration, in its plain form: zot's spelling of keys, lists written as
 * lists, durations as texts. The loader accepts more (any case, weak types); it accepts all that fits the
 * schema, except for the rules that look at several keys.
 */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'zot config schema',
    ...describe(configSchema),
  };
}

function describe(schema: z.core.$ZodType): JsonSchema {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case 'object':
      return describeObject(shape);
    case 'map':
      return { type: 'object', additionalProperties: describe(shape.values) };
    case 'list':
      return { type: 'array', items: describe(shape.items) };
    case 'driver':
      return { type: 'object', anyOf: [...shape.options.values()].map(describe) };
    case 'anything':
      return {};
    default:
      return describeLeaf(shape);
  }
}

function describeObject({ keys, lenient }: Extract<Shape, { kind: 'object' }>): JsonSchema {
  const shown = [...keys.values()].filter(({ meta }) => meta.internal !== true);
  const required = shown.filter((key) => isRequired(key)).map(({ name }) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(shown.map((key) => [key.name, describeKey(key)])),
    ...(required.length === 0 ? {} : { required }),
    ...(lenient ? {} : { additionalProperties: false }),
  };
}

/** Only what tells one shape from another must be there. */
function isRequired({ schema }: KeyShape): boolean {
  const shape = shapeOf(schema);
  const isChoice = shape.kind === 'form' && shape.form.kind === 'choice';
  return shape.kind === 'literal' || (isChoice && schema === unwrap(schema));
}

function describeKey({ schema, meta }: KeyShape): JsonSchema {
  const value = meta.defaultText === undefined ? plainDefault(schema) : undefined;
  return {
    description: meta.doc,
    ...describe(schema),
    ...(value === undefined ? {} : { default: value }),
    ...(meta.secret === true ? { writeOnly: true } : {}),
  };
}

function describeLeaf(shape: LeafShape): JsonSchema {
  switch (shape.kind) {
    case 'text':
      return { type: 'string' };
    case 'flag':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer' };
    case 'decimal':
      return { type: 'number' };
    case 'literal':
      return { const: shape.value };
    case 'form':
      return describeForm(shape.form);
  }
}

type Form = Extract<LeafShape, { kind: 'form' }>['form'];

const size = '\\d+(\\.\\d+)? ?([kKmMgGtT]?[bB]?|[kKmMgGtT][iI][bB])';

function describeForm(form: Form): JsonSchema {
  switch (form.kind) {
    case 'duration':
      return {
        type: ['string', 'number'],
        pattern: '^[+-]?(0|((\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+)$',
      };
    case 'port':
      return { type: ['integer', 'string'], minimum: 0, maximum: 65_535, pattern: '^\\d*$' };
    case 'size':
      return { type: ['integer', 'string'], minimum: 0, pattern: `^${size}$` };
    case 'freeSpace':
      return { type: ['integer', 'string'], minimum: 0, pattern: `^(${size}|\\d{1,3}(\\.\\d+)? ?%)$` };
    case 'logLevel':
      return { type: 'string', pattern: `^(${levelWords.map(anyCase).join('|')})$` };
    case 'choice':
      return { enum: form.values };
  }
}

const levelWords = ['debug', 'trace', 'info', 'warn', 'warning', 'error', 'fatal', 'panic'];

/** Expressions of JSON Schema have no flag for it. */
function anyCase(word: string): string {
  return word.replaceAll(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);
}

/** The default of a key as a user would write it; undefined where there is none, or where it is an object. */
export function plainDefault(schema: z.core.$ZodType): unknown {
  const value = declaredDefault(schema);
  const shape = shapeOf(schema);
  if (shape.kind === 'form' && value !== undefined) return plainForm(shape.form, value);
  if (shape.kind === 'object' || shape.kind === 'map') return undefined;
  return value;
}

function plainForm(form: Form, value: unknown): unknown {
  if (form.kind === 'duration') return formatGoDuration(Number(value));
  if (form.kind === 'size') return formatByteSize(Number(value));
  if (form.kind !== 'freeSpace') return value;
  const { unit, amount } = value as FreeSpace;
  return unit === 'bytes' ? formatByteSize(amount) : `${amount}%`;
}
