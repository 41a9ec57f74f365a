/** The public face of the commands that act on a storage folder. */
export { ControlCommands, ControlRefusal, flagArgument, textArgument } from './contract.ts';
export type { ControlArguments, ControlCall, ControlCommand, ControlHost } from './contract.ts';
export { backgroundJobs, changeTasks } from './change-tasks.ts';
export { probeSharing } from './dedupe-tasks.ts';
export { addGcCommands } from './gc-commands.ts';
export { addScrubCommands, scrubJobs } from './scrub-commands.ts';
export type { ScrubReport } from './scrub-commands.ts';
export { addStorageCommands } from './storage-commands.ts';
export type { ServedStorage } from './storage-commands.ts';
export { addQuotaCommands } from './quota-commands.ts';
export { addTagCommands } from './tag-commands.ts';
export { addRetentionCommands } from './retention-commands.ts';
export { addRepoCommands } from './repo-commands.ts';
export { addTaskCommands } from './task-commands.ts';
