/** The public face of background work. */
export { Scheduler } from './scheduler.ts';
export type { Job, JobStatus, Priority, RoundResult, Task, TaskContext } from './scheduler.ts';
export { systemTime } from './time.ts';
export type { Time } from './time.ts';
