import { existsSync } from 'node:fs';
import type { z } from 'zod';
import { isPlainObject } from './normalise.ts';
import { formatPath, type ConfigProblem, type Path } from './problems.ts';
import { configSchema, type Config } from './schema/schema.ts';
import { shapeOf, type KeyShape } from './schema/walk.ts';

/**
 * The files and folders that the configuration names and that do not exist. They are needed when the server starts, which
 * may be on another machine: so this is asked for, not part of loading.
 */
export function findMissingFiles(config: Config): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  collect(config, configSchema, [], (path, file) => {
    if (!existsSync(file)) problems.push({ path: formatPath(path), message: `${file} does not exist` });
  });
  return problems;
}

type FoundFile = (path: Path, file: string) => void;

function collect(value: unknown, schema: z.core.$ZodType, path: Path, found: FoundFile): void {
  const shape = shapeOf(schema);
  if (shape.kind === 'list' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(item, shape.items, [...path, index], found);
  } else if (isPlainObject(value) && shape.kind === 'map') {
    for (const [name, member] of Object.entries(value)) collect(member, shape.values, [...path, name], found);
  } else if (isPlainObject(value) && shape.kind === 'driver') {
    const option = shape.options.get(String(value.name));
    if (option !== undefined) collect(value, option, path, found);
  } else if (isPlainObject(value) && shape.kind === 'object') {
    for (const key of shape.keys.values()) collectKey(value[key.name], key, [...path, key.name], found);
  }
}

function collectKey(value: unknown, { schema, meta }: KeyShape, path: Path, found: FoundFile): void {
  if (meta.file !== true) collect(value, schema, path, found);
  else if (typeof value === 'string' && value !== '') found(path, value);
}
