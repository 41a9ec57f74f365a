import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { startProcess, type RunningProcess } from '../../support/process.ts';
import { keepLogFiles, noteConfig } from '../../support/secrets/noted.ts';
import { projectRoot } from '../../support/server.ts';

const program = path.join(projectRoot, 'src/bin/zot.ts');

/** A temporary folder with processes of the real program, ended and removed together. */
export class ZotProcesses {
  readonly folder: string;
  #running: RunningProcess[] = [];
  #configs: object[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<ZotProcesses> {
    return new ZotProcesses(await mkdtemp(path.join(tmpdir(), 'zot-process-')));
  }

  /** Starts `zot serve` with a configuration, or with none. */
  async serve(config: object | null, cwd = this.folder): Promise<RunningProcess> {
    const args = ['serve'];
    if (config !== null) {
      const file = path.join(this.folder, `config-${this.#running.length}.json`);
      await writeFile(file, JSON.stringify(config));
      args.push(file);
      noteConfig(config);
      this.#configs.push(config);
    }
    // What a process that is killed leaves among the temporary files goes with the folder.
    const env = { TMPDIR: this.folder };
    const running = startProcess({ command: [process.execPath, program, ...args], cwd, env });
    this.#running.push(running);
    return running;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.kill()));
    this.#configs.forEach(keepLogFiles);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The URL of the line that says where the server listens. */
export function urlOfLine(line: string): string | null {
  if (!line.includes('"listening"')) return null;
  return (JSON.parse(line) as { url: string }).url;
}

export function listening(running: RunningProcess): Promise<string> {
  return running.waitForLine(urlOfLine, 20_000);
}

/** Waits until a process has ended by itself and gives its exit code, -1 after a signal. */
export async function endOf(running: RunningProcess, timeoutMs = 20_000): Promise<number> {
  try {
    await running.waitForLine(() => null, timeoutMs);
  } catch (error) {
    const code = /exit code (-?\d+)/.exec(String(error))?.[1];
    if (code !== undefined) return Number(code);
    throw error;
  }
  throw new Error('a line was found that nobody asked for');
}

/** The processes that a process has started and that live, by their words. */
export async function childrenOf(pid: number): Promise<{ pid: number; words: string }[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const pids = list.split(' ').filter((text) => text.trim() !== '');
  const children = await Promise.all(
    pids.map(async (text) => ({ pid: Number(text), words: await wordsOf(text) })),
  );
  return children.filter(({ words }) => words !== '');
}

/** The command line of a process; '' when it has ended. */
async function wordsOf(pid: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))) return '';
    throw error;
  }
}
