import { readFile, readdir } from 'node:fs/promises';

export interface ServerProcesses {
  readonly keeper: number | null;
  readonly workers: readonly number[];
}

/** The children of a server's first process, told apart by their command lines (Linux). */
export async function serverProcesses(pid: number): Promise<ServerProcesses> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const workers: number[] = [];
  let keeper: number | null = null;
  for (const child of children.trim().split(' ').filter(Boolean).map(Number)) {
    const command = await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('internal-keeper')) keeper = child;
    if (command.includes('internal-worker')) workers.push(child);
  }
  return { keeper, workers };
}

/** How many files and sockets a process has open. */
export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Resident memory of a process. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** A server's log without the lines of requests. */
export function remarks(log: string): string {
  return log
    .split('\n')
    .filter((line) => !line.includes('"HTTP API"'))
    .join('\n')
    .slice(-6000);
}
