import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/** What the build prints about an executable. Memory is null on systems without /proc. */
export interface Measurement {
  readonly sizeBytes: number;
  /** From the start of the process to the end of `--version`; the middle of several runs. */
  readonly versionMs: number;
  /** From the start of the process to the log line "listening". */
  readonly listeningMs: number;
  readonly idle: { readonly privateBytes: number; readonly residentBytes: number } | null;
}

const versionRuns = 5;
const startDeadlineMs = 20_000;
/** Memory is read after the server has had time to fall quiet; a fixed wait is what is being measured here. */
const idleMs = 3_000;

/** Starts the executable a few times, bounded in time, in a folder of its own. */
export async function measureExecutable(file: string): Promise<Measurement> {
  const folder = mkdtempSync(join(tmpdir(), 'zot-measure-'));
  try {
    const versionMs = measureVersion(file);
    return { sizeBytes: statSync(file).size, versionMs, ...(await measureServer(file, folder)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measureVersion(file: string): number {
  const times = Array.from({ length: versionRuns }, () => {
    const start = performance.now();
    const { status, stderr } = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: startDeadlineMs });
    if (status !== 0) throw new Error(`${file} --version ended with ${status}: ${stderr}`);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[Math.floor(versionRuns / 2)] ?? 0;
}

async function measureServer(
  file: string,
  folder: string,
): Promise<Pick<Measurement, 'listeningMs' | 'idle'>> {
  const config = join(folder, 'config.json');
  const content = {
    storage: { rootDirectory: join(folder, 'data') },
    http: { address: '127.0.0.1', port: '0', workers: 1 },
  };
  writeFileSync(config, JSON.stringify(content));
  const start = performance.now();
  const child = spawn(file, ['serve', config], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  try {
    await untilListening(child);
    const listeningMs = performance.now() - start;
    await delay(idleMs);
    return { listeningMs, idle: readMemory(child.pid) };
  } finally {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), startDeadlineMs);
    await exited;
    clearTimeout(killer);
  }
}

async function untilListening(child: ChildProcess): Promise<void> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the server was started without pipes');
  const said: string[] = [];
  createInterface({ input: stderr }).on('line', (line) => said.push(line));
  const timer = setTimeout(() => child.kill('SIGKILL'), startDeadlineMs);
  try {
    for await (const line of createInterface({ input: stdout })) {
      if (line.includes('"listening"')) {
        stdout.resume();
        return;
      }
      said.push(line);
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(`the server did not listen: ${said.join('\n')}`);
}

function readMemory(pid: number | undefined): Measurement['idle'] {
  if (process.platform !== 'linux' || pid === undefined) return null;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (key: string): number =>
    Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? NaN) * 1024;
  return { privateBytes: read('RssAnon'), residentBytes: read('VmRSS') };
}
