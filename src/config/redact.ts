import type { z } from 'zod';
import { isPlainObject } from './normalise.ts';
import { configSchema, type Config } from './schema/schema.ts';
import { shapeOf } from './schema/walk.ts';

const mask = '******';

/**
 * A copy of the configuration that may be printed: what is declared secret is masked, and so are user names, passwords
 * and keys within URLs, wherever they stand.
 */
export function redact(config: Config): Readonly<Record<string, unknown>> {
  return { ...(redactValue(config, configSchema) as Readonly<Record<string, unknown>>) };
}

function redactValue(value: unknown, schema: z.core.$ZodType): unknown {
  if (typeof value === 'string') return maskUrls(value);
  const shape = shapeOf(schema);
  if (shape.kind === 'list' && Array.isArray(value))
    return value.map((item) => redactValue(item, shape.items));
  if (!isPlainObject(value)) return value;
  switch (shape.kind) {
    case 'object':
      return mapValues(value, (member, name) => {
        const key = shape.keys.get(name.toLowerCase());
        if (key === undefined || key.meta.secret === true) return maskAll(member);
        return redactValue(member, key.schema);
      });
    case 'map':
      return mapValues(value, (member) => redactValue(member, shape.values));
    case 'driver': {
      const option = shape.options.get(String(value.name));
      return option === undefined ? maskAll(value) : redactValue(value, option);
    }
    default:
      return value;
  }
}

function mapValues(
  object: Readonly<Record<string, unknown>>,
  change: (member: unknown, name: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, member]) => [name, change(member, name)]));
}

/** Masks every value, and keeps the names: an empty value shows that nothing is set. */
function maskAll(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskAll);
  if (isPlainObject(value)) return mapValues(value, maskAll);
  return value === '' || value === undefined || value === null ? value : mask;
}

/** Up to the last `@` of the word: a password may hold any character that its owner forgot to encode. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/)\S*@/gi;
const secretParameter =
  /([?&;](?:[\w.-]*(?:password|passwd|secret|token|key|signature|sig)[\w.-]*)=)[^&;\s]*/gi;

/** Masks what must not be seen in the URLs of a text: user-info, and parameters whose names tell of secrets. */
function maskUrls(text: string): string {
  return text.replace(userInfo, `$1${mask}@`).replace(secretParameter, `$1${mask}`);
}
