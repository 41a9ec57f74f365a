/** The public face of background work. */
export { dedupeJob, dedupeJobName } from './dedupe/dedupe-job.ts';
export { emptyPassReport } from './dedupe/pass-parts.ts';
export type { PassParts, PassReport } from './dedupe/pass-parts.ts';
export { DedupePass } from './dedupe/pass.ts';
export { gcJob, gcJobName } from './gc/gc-job.ts';
export { gcSettings } from './gc/gc-rules.ts';
export type { GcSettings } from './gc/gc-rules.ts';
export { noteEverything } from './gc/note-all.ts';
export { SweepClock } from './gc/sweep-clock.ts';
export { emptyReport } from './gc/sweep-parts.ts';
export { Sweep } from './gc/sweep.ts';
export type { SweepParts, SweepReport } from './gc/sweep-parts.ts';
export { SettledRepositories } from './retention/settled.ts';
export { Scheduler } from './scheduler.ts';
export type { Job, JobStatus, Priority, RoundResult, Task, TaskContext } from './scheduler.ts';
export { systemTime } from './time.ts';
export type { Time } from './time.ts';
