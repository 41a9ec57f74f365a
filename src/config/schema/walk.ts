import type { z } from 'zod';
import { configKeys, leafForms, type KeyMeta, type LeafForm } from './key.ts';

/**
 * How the code that follows a declaration sees it: wrappers (`default`, `optional`) removed, told apart by
 * shape.
 */
export type Shape =
  | { readonly kind: 'object'; readonly keys: ReadonlyMap<string, KeyShape>; readonly lenient: boolean }
  | { readonly kind: 'map'; readonly values: z.core.$ZodType }
  | { readonly kind: 'list'; readonly items: z.core.$ZodType }
  | {
      readonly kind: 'driver';
      readonly form: DriverForm;
      readonly options: ReadonlyMap<string, z.core.$ZodType>;
    }
  | { readonly kind: 'anything' }
  | LeafShape;

/** A value without parts. */
export type LeafShape =
  | { readonly kind: 'form'; readonly form: Exclude<LeafForm, DriverForm> }
  | { readonly kind: 'text' | 'flag' | 'integer' | 'decimal' }
  | { readonly kind: 'literal'; readonly value: string };

type DriverForm = Extract<LeafForm, { kind: 'driver' }>;

/** A key of an object: its declaration with all wrappers, and what is said about it. */
export interface KeyShape {
  readonly name: string;
  readonly schema: z.core.$ZodType;
  readonly meta: KeyMeta;
}

/** A value within another, with its declaration. */
export interface Member {
  readonly step: string | number;
  readonly value: unknown;
  readonly schema: z.core.$ZodType;
  /** What is said about its key; null for members of lists and maps. */
  readonly meta: KeyMeta | null;
}

/**
 * The members of a value that have declarations of their own; none where the value does not have the declared
 * shape.
 */
export function listMembers(value: unknown, schema: z.core.$ZodType): Member[] {
  const shape = shapeOf(schema);
  if (shape.kind === 'list') {
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    return items.map((item, step) => ({ step, value: item, schema: shape.items, meta: null }));
  }
  if (typeof value !== 'object' || value === null) return [];
  const members: readonly [string, unknown][] = Object.entries(value);
  switch (shape.kind) {
    case 'map':
      return members.map(([step, member]) => ({ step, value: member, schema: shape.values, meta: null }));
    case 'driver': {
      const option = shape.options.get(String('name' in value ? value.name : ''));
      return option === undefined ? [] : listMembers(value, option);
    }
    case 'object':
      return members.flatMap(([step, member]) => {
        const key = shape.keys.get(step.toLowerCase());
        return key === undefined ? [] : [{ step, value: member, schema: key.schema, meta: key.meta }];
      });
    default:
      return [];
  }
}

const known = new WeakMap<z.core.$ZodType, Shape>();

/** The shape of a declaration. Shapes are made once per declaration. */
export function shapeOf(schema: z.core.$ZodType): Shape {
  const remembered = known.get(schema);
  if (remembered !== undefined) return remembered;
  const shape = makeShape(unwrap(schema));
  known.set(schema, shape);
  return shape;
}

/** Removes `optional`, `default` and `prefault`. */
export function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  return def.type === 'optional' || def.type === 'default' || def.type === 'prefault'
    ? unwrap(def.innerType)
    : schema;
}

/** The default that stands in the declaration, or undefined. */
export function declaredDefault(schema: z.core.$ZodType): unknown {
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  return def.type === 'default' || def.type === 'prefault' ? def.defaultValue : undefined;
}

function makeShape(schema: z.core.$ZodType): Shape {
  const form = leafForms.get(schema);
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  if (form?.kind === 'driver') return { kind: 'driver', form, options: driverOptions(schema) };
  if (form !== undefined) return { kind: 'form', form };
  switch (def.type) {
    case 'object':
      return { kind: 'object', keys: objectKeys(def.shape), lenient: def.catchall === undefined };
    case 'record':
      return { kind: 'map', values: def.valueType };
    case 'array':
      return { kind: 'list', items: def.element };
    case 'unknown':
      return { kind: 'anything' };
    default:
      return makeLeafShape(def);
  }
}

function makeLeafShape(def: z.core.$ZodTypes['_zod']['def']): LeafShape {
  switch (def.type) {
    case 'string':
      return { kind: 'text' };
    case 'boolean':
      return { kind: 'flag' };
    case 'number':
      return { kind: 'check' in def && def.check === 'number_format' ? 'integer' : 'decimal' };
    case 'literal':
      return { kind: 'literal', value: String(def.values[0]) };
    default:
      throw new Error(`the configuration has no use for zod's "${def.type}"`);
  }
}

function objectKeys(shape: Readonly<Record<string, z.core.$ZodType>>): ReadonlyMap<string, KeyShape> {
  const keys = Object.entries(shape).map(([name, schema]): [string, KeyShape] => {
    const meta = configKeys.get(schema);
    if (meta === undefined) throw new Error(`the key ${name} is declared without key()`);
    return [name.toLowerCase(), { name, schema, meta }];
  });
  return new Map(keys);
}

function driverOptions(schema: z.core.$ZodType): ReadonlyMap<string, z.core.$ZodType> {
  const { def } = schema._zod as z.core.$ZodUnion['_zod'];
  const options = def.options.map((option): [string, z.core.$ZodType] => {
    const shape = shapeOf(option);
    const name = shape.kind === 'object' ? shape.keys.get('name') : undefined;
    const literal = name === undefined ? undefined : shapeOf(name.schema);
    if (literal?.kind !== 'literal') throw new Error('a driver is declared without its name');
    return [literal.value, option];
  });
  return new Map(options);
}
