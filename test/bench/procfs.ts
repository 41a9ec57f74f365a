/**
 * What a server costs, read from Linux's /proc over its whole process tree: a server may be one process or a supervisor
 * with workers, and only the sum can be compared. CPU is exact to a clock tick (10 ms) per sample.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

export interface TreeSample {
  /** User and system time so far, of living processes and of the root's reaped children. */
  cpuSeconds: number;
  /** Sum of resident memory now; pages shared between the processes count in each. */
  rssBytes: number;
  /** Anonymous memory now: what the processes do not share with each other or with the page cache. */
  privateBytes: number;
  /** Sum of the peaks since `resetPeaks`; at least the true simultaneous peak. */
  peakRssBytes: number;
  /** Bytes that the tree made the kernel write to a block device. */
  writtenBytes: number;
  processes: number;
}

let ticksPerSecond = 0;

/** Reads the tree below (and with) `rootPid` now. Processes that vanish meanwhile are left out. */
export function sampleTree(rootPid: number): TreeSample {
  const total: TreeSample = {
    cpuSeconds: 0,
    rssBytes: 0,
    privateBytes: 0,
    peakRssBytes: 0,
    writtenBytes: 0,
    processes: 0,
  };
  for (const pid of treeOf(rootPid)) {
    const stat = readStat(pid);
    if (stat === null) continue;
    const reaped = pid === rootPid ? stat.reapedTicks : 0;
    total.cpuSeconds += (stat.ownTicks + reaped) / clockTicks();
    total.rssBytes += readField(`/proc/${pid}/status`, 'VmRSS') * 1024;
    total.privateBytes += readField(`/proc/${pid}/status`, 'RssAnon') * 1024;
    total.peakRssBytes += readField(`/proc/${pid}/status`, 'VmHWM') * 1024;
    total.writtenBytes += readField(`/proc/${pid}/io`, 'write_bytes');
    total.processes += 1;
  }
  return total;
}

/** Starts the peak memory (VmHWM) of every process of the tree anew. Silently without effect where it is refused. */
export function resetPeaks(rootPid: number): void {
  for (const pid of treeOf(rootPid)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch (error) {
      // Only the owner may do this: the peak then covers the life of a foreign process, which is still true.
      if (!isFileError(error)) throw error;
    }
  }
}

/** The process and all of its descendants; empty when it is gone. */
export function treeOf(rootPid: number): number[] {
  const children = new Map<number, number[]>();
  let rootSeen = false;
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat === null) continue;
    if (pid === rootPid) rootSeen = true;
    children.set(stat.parentPid, [...(children.get(stat.parentPid) ?? []), pid]);
  }
  if (!rootSeen) return [];
  const tree = [rootPid];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function readStat(pid: number): { parentPid: number; ownTicks: number; reapedTicks: number } | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The second field is the command in brackets and may hold blanks, so counting starts after the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (index: number): number => Number(fields[index] ?? 0);
  return { parentPid: at(1), ownTicks: at(11) + at(12), reapedTicks: at(13) + at(14) };
}

function readField(path: string, name: string): number {
  const text = readOrNull(path);
  const line = text === null ? undefined : new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text);
  return Number(line?.[1] ?? 0);
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    // A process may end between the listing and the reading, and another user's io file may not be read.
    if (isFileError(error)) return null;
    throw error;
  }
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && 'code' in error;
}

function clockTicks(): number {
  if (ticksPerSecond === 0)
    ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticksPerSecond;
}
