import { ControlCommands } from './contract.ts';
import { addGcCommands } from './gc-commands.ts';
import { addQuotaCommands } from './quota-commands.ts';
import { addRepoCommands } from './repo-commands.ts';
import { addRetentionCommands } from './retention-commands.ts';
import { addScrubCommands } from './scrub-commands.ts';
import { addStorageCommands } from './storage-commands.ts';
import { addTagCommands } from './tag-commands.ts';
import { addTaskCommands } from './task-commands.ts';

const AREAS: readonly ((commands: ControlCommands) => void)[] = [
  addTaskCommands,
  addGcCommands,
  addScrubCommands,
  addStorageCommands,
  addQuotaCommands,
  addTagCommands,
  addRetentionCommands,
  addRepoCommands,
];

/** Every command of the command line that works on a storage folder. */
export function controlCommands(): ControlCommands {
  const commands = new ControlCommands();
  for (const add of AREAS) add(commands);
  return commands;
}
