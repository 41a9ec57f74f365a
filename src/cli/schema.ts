import { configJsonSchema } from '#config';
import type { CommandIo } from './command.ts';

/** `zot schema`: prints the JSON Schema of the configuration. Gives the exit code. */
export function schemaCommand(io: CommandIo): number {
  io.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
}
