/** The public face of background work. */
export { gcJob, gcJobName, noteEverything } from './gc/gc-job.ts';
export { gcSettings } from './gc/gc-rules.ts';
export type { GcSettings, UntaggedKeeper } from './gc/gc-rules.ts';
export type { SweepParts, SweepReport } from './gc/sweep.ts';
export { Scheduler } from './scheduler.ts';
export type { Job, JobStatus, Priority, RoundResult, Task, TaskContext } from './scheduler.ts';
export { systemTime } from './time.ts';
export type { Time } from './time.ts';
