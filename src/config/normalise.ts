import type { z } from 'zod';
import {
  coerceDecimal,
  coerceFlag,
  coerceForm,
  coerceInteger,
  coerceText,
  show,
  type Coerced,
} from './coerce.ts';
import { shorten, type Path, type Report } from './problems.ts';
import { describeUnknownKey } from './unknown-keys.ts';
import { shapeOf, unwrap, type KeyShape, type LeafShape, type Shape } from './schema/walk.ts';

/**
 * The one pass between the parsed file and zod: keys that the schema knows get its spelling, weak types
 * become the right ones, null becomes absence. Keys that the user invents (patterns, routes, names) keep
 * their letters. Whatever is wrong is reported and left out, so that the rest can be judged, too.
 */

/** A value that the report already covers. */
const omitted = Symbol('omitted');

export type PlainObject = Record<string, unknown>;

export interface Normalised {
  readonly value: PlainObject;
  /** The same place as the user spelled it. */
  spell(path: Path): Path;
}

/** Normalises a whole configuration. */
export function normalise(value: unknown, schema: z.core.$ZodType, report: Report): Normalised {
  const pass = new Pass(report);
  const normalised = pass.value(value, schema, []);
  return { value: isPlainObject(normalised) ? normalised : {}, spell: (path) => pass.spell(path) };
}

export function isPlainObject(value: unknown): value is PlainObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** True where zot drops an object as if it were absent: nothing in it but null and such objects. */
export function isHollow(value: unknown): boolean {
  return isPlainObject(value) && Object.values(value).every((member) => member === null || isHollow(member));
}

/** A key as the user wrote it, in the object at `path`. */
interface WrittenKey {
  readonly written: string;
  readonly member: unknown;
  readonly path: Path;
}

interface Entry {
  readonly name: string;
  readonly value: unknown;
}

class Pass {
  readonly #report: Report;
  /** The user's key by the canonical path, for keys whose spelling was changed. */
  readonly #spellings = new Map<string, string>();

  constructor(report: Report) {
    this.#report = report;
  }

  spell(path: Path): Path {
    return path.map((step, index) => this.#spellings.get(spellingKey(path.slice(0, index + 1))) ?? step);
  }

  value(value: unknown, schema: z.core.$ZodType, path: Path): unknown {
    const shape = shapeOf(schema);
    switch (shape.kind) {
      case 'object':
        return this.#object(value, shape, path);
      case 'map':
        return this.#map(value, shape.values, path);
      case 'list':
        return this.#list(value, shape.items, path);
      case 'driver':
        return this.#driver(value, shape, path);
      case 'anything':
        return value;
      default:
        return this.#leaf(value, shape, path);
    }
  }

  #leaf(value: unknown, shape: LeafShape, path: Path): unknown {
    const coerced = coerceLeaf(shape, value);
    if (!coerced.ok) return this.#refuse(path, coerced.problem);
    if (coerced.warning !== undefined) this.#report.warn(path, coerced.warning);
    return coerced.value;
  }

  #object(value: unknown, shape: Extract<Shape, { kind: 'object' }>, path: Path): unknown {
    if (!isPlainObject(value)) {
      const keys = [...shape.keys.values()]
        .filter(({ meta }) => meta.internal !== true)
        .map(({ name }) => name);
      return this.#refuse(
        path,
        `expected an object with keys such as ${keys.slice(0, 4).join(', ')}, got ${show(value)}`,
      );
    }
    const result: PlainObject = {};
    for (const [written, member] of this.#entries(value, path)) {
      const known = shape.keys.get(written.toLowerCase());
      const isKnown = known !== undefined && known.meta.internal !== true;
      const entry = isKnown
        ? this.#knownKey(known, { written, member, path })
        : this.#unknownKey(shape, { written, member, path });
      if (entry !== null) result[entry.name] = entry.value;
    }
    this.#requireChoices(shape, result, path);
    return result;
  }

  #knownKey({ name, schema }: KeyShape, { written, member, path }: WrittenKey): Entry | null {
    const at = [...path, name];
    if (written !== name) this.#spellings.set(spellingKey(at), written);
    if (member === null || member === undefined) return null;
    const value = this.value(member, schema, at);
    return value === omitted ? null : { name, value };
  }

  /** In a lenient object an unknown key stays, for the rules to look at; zod drops it. */
  #unknownKey({ keys, lenient }: Extract<Shape, { kind: 'object' }>, key: WrittenKey): Entry | null {
    const message = this.#report.isFull ? '' : describeUnknownKey({ ...key, siblings: keys });
    const at = [...key.path, key.written];
    if (!lenient) this.#report.error(at, message);
    else this.#report.warn(at, `ignored: ${message}`);
    return lenient ? { name: key.written, value: key.member } : null;
  }

  /** A choice without a default must be made; the first one stands in, so that the rest can be judged. */
  #requireChoices(shape: Extract<Shape, { kind: 'object' }>, result: PlainObject, path: Path): void {
    for (const { name, schema } of shape.keys.values()) {
      const inner = shapeOf(schema);
      if (
        inner.kind !== 'form' ||
        inner.form.kind !== 'choice' ||
        schema !== unwrap(schema) ||
        name in result
      )
        continue;
      if (!this.#report.covers([...path, name]))
        this.#report.error([...path, name], inner.form.refuse(undefined));
      result[name] = inner.form.values[0];
    }
  }

  #map(value: unknown, values: z.core.$ZodType, path: Path): unknown {
    if (!isPlainObject(value)) return this.#refuse(path, `expected an object, got ${show(value)}`);
    if (shapeOf(values).kind === 'anything') return value;
    const result: PlainObject = {};
    for (const [name, member] of this.#entries(value, path)) {
      if (member === null || member === undefined) continue;
      const normalised = this.value(member, values, [...path, name]);
      if (normalised !== omitted) result[name] = normalised;
    }
    return result;
  }

  /**
   * The members of an object. Of keys that differ only in case, none is taken: zot would take one by chance.
   */
  *#entries(value: PlainObject, path: Path): Generator<[string, unknown]> {
    const seen = new Map<string, string>();
    for (const [written, member] of Object.entries(value)) {
      const twin = seen.get(written.toLowerCase());
      seen.set(written.toLowerCase(), written);
      if (written === '__proto__') this.#report.error([...path, written], 'this name cannot be used');
      else if (twin === undefined) yield [written, member];
      else
        this.#report.error(
          [...path, written],
          `"${shorten(twin)}" and "${shorten(written)}" differ only in case; keep one of the two`,
        );
    }
  }

  #list(value: unknown, items: z.core.$ZodType, path: Path): unknown {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    const result = list.map((item, index) => {
      const at = Array.isArray(value) ? [...path, index] : path;
      return this.value(item ?? zeroOf(items), items, at);
    });
    return result.filter((item) => item !== omitted);
  }

  #driver(value: unknown, shape: Extract<Shape, { kind: 'driver' }>, path: Path): unknown {
    if (!isPlainObject(value))
      return this.#refuse(path, `expected an object with a "name", got ${show(value)}`);
    if (isHollow(value)) {
      this.#report.warn(path, 'an empty object is read as if the key were absent');
      return omitted;
    }
    const name = Object.entries(value).find(([written]) => written.toLowerCase() === 'name')?.[1];
    const option = typeof name === 'string' ? shape.options.get(name) : undefined;
    if (option === undefined) return this.#refuse([...path, 'name'], shape.form.refuse(name ?? undefined));
    return this.value(value, option, path);
  }

  #refuse(path: Path, problem: string): typeof omitted {
    this.#report.error(path, problem);
    return omitted;
  }
}

function coerceLeaf(shape: LeafShape, value: unknown): Coerced {
  switch (shape.kind) {
    case 'form':
      return coerceForm(shape.form, value);
    case 'text':
    case 'literal':
      return coerceText(value);
    case 'flag':
      return coerceFlag(value);
    case 'integer':
      return coerceInteger(value);
    case 'decimal':
      return coerceDecimal(value);
  }
}

/** What null means in a list: the zero value of its items. */
function zeroOf(items: z.core.$ZodType): unknown {
  const shape = shapeOf(items);
  if (shape.kind === 'object' || shape.kind === 'map') return {};
  if (shape.kind === 'list') return [];
  return shape.kind === 'text' ? '' : 0;
}

function spellingKey(path: Path): string {
  return JSON.stringify(path);
}
