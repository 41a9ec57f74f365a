import { existsSync } from 'node:fs';
import type { z } from 'zod';
import { formatPath, type ConfigProblem, type Path } from './problems.ts';
import { configSchema, type Config } from './schema/schema.ts';
import { listMembers } from './schema/walk.ts';

/**
 * The files and folders that the configuration names and that do not exist. They are needed when the server
 * starts, which may be on another machine: so this is asked for, not part of loading.
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
  for (const member of listMembers(value, schema)) {
    const at = [...path, member.step];
    if (member.meta?.file !== true) collect(member.value, member.schema, at, found);
    else if (typeof member.value === 'string' && member.value !== '') found(at, member.value);
  }
}
