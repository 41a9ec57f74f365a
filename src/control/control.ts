/** The public face of the commands that act on a storage folder. */
export { ControlCommands, ControlRefusal, flagArgument, textArgument } from './contract.ts';
export type { ControlArguments, ControlCall, ControlCommand, ControlHost } from './contract.ts';
export { wordsOf } from './changing.ts';
export { controlCommands } from './all-commands.ts';
export { backgroundJobs, changeTasks } from './change-tasks.ts';
export { probeSharing } from './dedupe-tasks.ts';
export { scrubJobs } from './scrub-commands.ts';
export type { ScrubReport } from './scrub-commands.ts';
export type { ServedStorage } from './storage-commands.ts';
