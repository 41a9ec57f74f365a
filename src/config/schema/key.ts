import { z } from 'zod';

/**
 * What is said about one key beside its type: the source of the documentation, the JSON Schema, redaction and
 * reload.
 */
export interface KeyMeta {
  /** One or two sentences for the user. */
  readonly doc: string;
  /** How the default reads in the documentation, where it is computed or the value alone would mislead. */
  readonly defaultText?: string;
  /** The value must never be printed. */
  readonly secret?: boolean;
  /** A change is picked up without a restart. */
  readonly reloadable?: boolean;
  /** A key that zot does not have. */
  readonly ours?: boolean;
  /** Filled by the loader (from a secret file); refused in the configuration itself. */
  readonly internal?: boolean;
  /** The value names a file or folder that must exist when the server starts. */
  readonly file?: boolean;
}

/** The documentation and flags of every key, by the zod declaration of its value (the outermost wrapper). */
export const configKeys: z.core.$ZodRegistry<KeyMeta> = z.registry<KeyMeta>();

/**
 * Written forms that need more than the JSON type: the normaliser reads them, the JSON Schema describes them.
 */
export type LeafForm =
  | { readonly kind: 'duration' | 'port' | 'size' | 'freeSpace' | 'logLevel' }
  | {
      readonly kind: 'choice';
      readonly values: readonly string[];
      readonly refuse: (written: unknown) => string;
    }
  /** A map whose `name` says which keys it has. */
  | { readonly kind: 'driver'; readonly refuse: (name: unknown) => string };

/** The forms of the leaves, by the innermost zod declaration. */
export const leafForms: z.core.$ZodRegistry<LeafForm> = z.registry<LeafForm>();

/** Declares a key: puts its documentation and flags on the declaration of its value, and returns that. */
export function key<T extends z.core.$ZodType>(schema: T, doc: string, flags: Omit<KeyMeta, 'doc'> = {}): T {
  configKeys.add(schema, { doc, ...flags });
  return schema;
}

function withForm<T extends z.core.$ZodType>(schema: T, form: LeafForm): T {
  leafForms.add(schema, form);
  return schema;
}

/**
 * A duration in milliseconds, with fractions below one. Written in the configuration as a Go duration
 * (`1h30m`).
 */
export type DurationMs = number;

/** A threshold of free space: a number of bytes, or a share of the file system from 0 to 100. */
export interface FreeSpace {
  readonly unit: 'bytes' | 'percent';
  readonly amount: number;
}

export const text = () => z.string();
export const flag = () => z.boolean();
export const integer = () => z.int();
export const decimal = () => z.number();
export const textList = () => z.array(z.string());
export const duration = () => withForm(z.number(), { kind: 'duration' });
export const port = () => withForm(z.int(), { kind: 'port' });
export const size = () => withForm(z.int(), { kind: 'size' });
export const freeSpace = () =>
  withForm(z.strictObject({ unit: z.enum(['bytes', 'percent']), amount: z.number() }), { kind: 'freeSpace' });
export const logLevel = () => withForm(z.enum(['debug', 'info', 'warn', 'error']), { kind: 'logLevel' });

/** One of a few exact words. */
export function choice<const V extends readonly [string, ...string[]]>(
  values: V,
  refuse: (written: unknown) => string,
) {
  return withForm(z.enum(values), { kind: 'choice', values, refuse });
}

/** A map whose `name` says which of the given shapes it has. `refuse` words the error of any other name. */
export function driver<
  const O extends readonly [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]],
>(options: O, refuse: (name: unknown) => string) {
  return withForm(z.discriminatedUnion('name', options), { kind: 'driver', refuse });
}

const secondMs = 1000;
const minuteMs = 60 * secondMs;

export const seconds = (count: number): DurationMs => count * secondMs;
export const minutes = (count: number): DurationMs => count * minuteMs;
export const hours = (count: number): DurationMs => count * 60 * minuteMs;

/** An object that holds only unknown-free, documented keys. */
export const section = z.strictObject;

/** An object in which zot tolerates unknown keys: they are dropped with a warning. */
export const lenientSection = z.object;
