import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';

interface JobStatus {
  readonly name: string;
  readonly priority: string;
  readonly state: string;
  readonly nextRoundMs: number | null;
  readonly running: readonly string[];
  readonly last: {
    readonly startedMs: number;
    readonly elapsedMs: number;
    readonly tasks: number;
    readonly failed: number;
    readonly summary: string;
  } | null;
}

/** `zot tasks`: what background work runs and waits, and how the last rounds ended. */
export function tasksCommand(
  args: { readonly target: string; readonly json: boolean },
  io: CommandIo,
): Promise<number> {
  return runControl({ ...args, command: 'tasks.list', args: {}, render }, io);
}

function render(value: unknown): string {
  const { jobs } = value as { jobs: readonly JobStatus[] };
  if (jobs.length === 0)
    return 'no background work: nobody serves this folder, or all of it is switched off\n';
  return jobs.map(describe).join('');
}

function describe(job: JobStatus): string {
  const next = job.nextRoundMs === null ? 'none' : new Date(job.nextRoundMs).toISOString();
  const lines = [
    `${job.name} (${job.priority}): ${job.state}, next round ${job.state === 'running' ? 'now' : next}`,
  ];
  for (const task of job.running) lines.push(`  running: ${task}`);
  if (job.last !== null) {
    const { startedMs, elapsedMs, tasks, failed, summary } = job.last;
    const outcome = failed === 0 ? 'no failures' : `${failed} failed`;
    const count = tasks === 1 ? '1 task' : `${tasks} tasks`;
    lines.push(`  last: ${new Date(startedMs).toISOString()}, ${elapsedMs} ms, ${count}, ${outcome}`);
    if (summary !== '') lines.push(`  ${summary}`);
  }
  return `${lines.join('\n')}\n`;
}
