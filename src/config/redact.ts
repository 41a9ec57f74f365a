import type { z } from 'zod';
import { isPlainObject } from './normalise.ts';
import { configSchema, type Config } from './schema/schema.ts';
import { listMembers } from './schema/walk.ts';

const mask = '******';

/**
 * A copy of the configuration that may be printed: what is declared secret is masked, and so are user names,
 * passwords and keys within URLs, wherever they stand.
 */
export function redact(config: Config): Readonly<Record<string, unknown>> {
  return { ...(redactValue(config, configSchema) as Readonly<Record<string, unknown>>) };
}

function redactValue(value: unknown, schema: z.core.$ZodType): unknown {
  if (typeof value === 'string') return maskUrls(value);
  if (typeof value !== 'object' || value === null) return value;
  const members = listMembers(value, schema).map((member): [string | number, unknown] => {
    const isSecret = member.meta?.secret === true;
    return [member.step, isSecret ? maskAll(member.value) : redactValue(member.value, member.schema)];
  });
  if (Array.isArray(value)) return members.map(([, member]) => member);
  return members.length === 0 ? value : Object.fromEntries(members);
}

/** Masks every value, and keeps the names: an empty value shows that nothing is set. */
function maskAll(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskAll);
  if (isPlainObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, maskAll(member)]));
  }
  return value === '' || value === undefined || value === null ? value : mask;
}

/** Up to the last `@` of the word: a password may hold any character that its owner forgot to encode. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/)\S*@/gi;
const secretParameter =
  /([?&;](?:[\w.-]*(?:password|passwd|secret|token|key|signature|sig)[\w.-]*)=)[^&;\s]*/gi;

/**
 * Masks what must not be seen in the URLs of a text: user-info, and parameters whose names tell of secrets.
 */
function maskUrls(text: string): string {
  return text.replace(userInfo, `$1${mask}@`).replace(secretParameter, `$1${mask}`);
}
