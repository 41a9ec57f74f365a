import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { keepOutput } from './secrets/traces.ts';
import { TextTail } from './text-tail.ts';

export interface ProcessOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  /** Added to this process's environment. */
  readonly env: Record<string, string>;
}

export interface RunningProcess {
  readonly pid: number;
  /** The last 256 KiB of standard output. */
  stdout(): string;
  /** The last 64 KiB of standard error. */
  stderr(): string;
  /** Resolves with the first non-null answer of `read` for a line of either output; throws on exit or time-out. */
  waitForLine(read: (line: string) => string | null, timeoutMs: number): Promise<string>;
  /** SIGTERM, then the exit code (-1 when a signal ended it); SIGKILL for the group after `timeoutMs`. */
  stop(timeoutMs: number): Promise<number>;
  /** SIGKILL for the whole process group. */
  kill(): Promise<void>;
}

/** Groups still alive, so that a test process that ends early leaves nothing running. */
const liveGroups = new Set<number>();
process.on('exit', () => {
  for (const pid of liveGroups) killGroup(pid);
});

/**
 * Starts a long-running program as the leader of its own process group.
 * Throws when the program cannot be started.
 */
export function startProcess(options: ProcessOptions): RunningProcess {
  const [program, ...args] = options.command;
  if (program === undefined) throw new Error('no program was named');
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid;
  let spawnError: Error | null = null;
  child.on('error', (error) => (spawnError = error));
  if (pid !== undefined) liveGroups.add(pid);

  const stdout = new TextTail(256 * 1024);
  const stderr = new TextTail(64 * 1024);
  const watchers = new Set<(line: string) => void>();
  for (const [stream, tail] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    createInterface({ input: stream }).on('line', (line) => {
      tail.add(`${line}\n`);
      keepOutput(`${line}\n`);
      for (const watcher of watchers) watcher(line);
    });
  }
  // The exit promise resolves on 'close' so that the last output has been read.
  const exited = new Promise<number>((resolve) => {
    child.on('close', (code) => {
      if (pid !== undefined) liveGroups.delete(pid);
      resolve(code ?? -1);
    });
  });
  return {
    pid: pid ?? -1,
    stdout: () => stdout.text(),
    stderr: () => (spawnError === null ? stderr.text() : `${spawnError.message}\n`),
    waitForLine: (read, timeoutMs) => firstLine(watchers, exited, read, timeoutMs),
    async stop(timeoutMs) {
      if (child.exitCode !== null || child.signalCode !== null) return await exited;
      child.kill('SIGTERM');
      const timer = setTimeout(() => killGroup(pid), timeoutMs);
      const exitCode = await exited;
      clearTimeout(timer);
      return exitCode;
    },
    async kill() {
      killGroup(pid);
      await exited;
    },
  };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // A group whose last process has ended is what was wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function firstLine(
  watchers: Set<(line: string) => void>,
  exited: Promise<number>,
  read: (line: string) => string | null,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      watchers.delete(watcher);
      act();
    };
    const watcher = (line: string): void => {
      const answer = read(line);
      if (answer !== null) finish(() => resolve(answer));
    };
    const timer = setTimeout(
      () => finish(() => reject(new Error(`no such line within ${timeoutMs} ms`))),
      timeoutMs,
    );
    watchers.add(watcher);
    void exited.then((code) => finish(() => reject(new Error(`the process ended with exit code ${code}`))));
  });
}
