import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { startProcess, type RunningProcess } from './process.ts';
import { keepLogFiles, noteConfig } from './secrets/noted.ts';

/** The top folder of the checkout. */
export const projectRoot = path.resolve(import.meta.dirname, '../..');

export interface ServerOptions {
  /** Merged, key by key, over the default test configuration. */
  readonly config?: Record<string, unknown>;
  /** Storage folder to serve; it is left in place on stop. Without it a temporary one is made and removed. */
  readonly root?: string;
  /** Program and first arguments in place of `node src/bin/zot.ts`, for example `['dist/zot']`. */
  readonly command?: readonly string[];
  /** Added to the environment of the server. */
  readonly env?: Record<string, string>;
  /** How long the server may take to say that it listens; 30 s unless given. */
  readonly readyTimeoutMs?: number;
}

export interface RunningServer {
  /** For example `http://127.0.0.1:40001`, without a closing slash. */
  readonly url: string;
  /** `127.0.0.1:port`, as clients write it in front of a repository name. */
  readonly host: string;
  readonly port: number;
  /** The storage folder (`storage.rootDirectory`). */
  readonly root: string;
  /** The configuration file that it was started with. */
  readonly configFile: string;
  /** Process id of the first process; it leads a process group of its own. */
  readonly pid: number;
  /** The last 256 KiB of the log. */
  stdout(): string;
  /** SIGTERM, then the exit code; SIGKILL for the whole group (and -1) after 20 s. May be called again. */
  stop(): Promise<number>;
  /** SIGKILL for the whole process group. The storage folder stays until `stop` is called. */
  kill(): Promise<void>;
}

const stopTimeoutMs = 20_000;

/** `ZOT_TEST_WORKERS=2` runs a whole suite against a keeper and two serving processes. */
const defaultWorkers = Number(process.env['ZOT_TEST_WORKERS'] ?? '1');

/**
 * Starts our server on a port of the kernel's choice and resolves when it listens.
 * Throws with the end of its output when it ends first or does not listen in time.
 */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-test-'));
  const root = options.root ?? path.join(folder, 'data');
  try {
    await mkdir(root, { recursive: true });
    const configFile = path.join(folder, 'config.json');
    const config = mergeConfig(defaultConfig(root), options.config ?? {});
    await writeFile(configFile, JSON.stringify(config, null, 2));
    noteConfig(config);
    const running = startProcess({
      command: [...serverCommand(options.command), 'serve', configFile],
      cwd: folder,
      // What a server that is killed leaves among the temporary files goes with the folder.
      env: { TMPDIR: folder, ...options.env },
    });
    const url = await listeningUrl(running, options.readyTimeoutMs ?? 30_000);
    return runningServer(running, url, { config, root, folder });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** `ZOT_TEST_COMMAND` (words separated by blanks) lets a whole suite run against another build. */
function serverCommand(command: readonly string[] | undefined): string[] {
  const words = command ?? process.env['ZOT_TEST_COMMAND']?.split(' ').filter((word) => word !== '');
  return (words ?? [process.execPath, 'src/bin/zot.ts']).map(absoluteFile);
}

/** The server runs in a folder of its own: words that name files of the checkout are made absolute. */
export function absoluteFile(word: string): string {
  const file = path.resolve(projectRoot, word);
  return word.includes('/') && existsSync(file) ? file : word;
}

function defaultConfig(root: string): Record<string, unknown> {
  return {
    storage: { rootDirectory: root },
    http: { address: '127.0.0.1', port: '0', workers: defaultWorkers, compat: ['docker2s2'] },
    log: { level: 'info' },
  };
}

function mergeConfig(
  base: Record<string, unknown>,
  changes: Record<string, unknown>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = merged[key];
    merged[key] = isPlainObject(before) && isPlainObject(value) ? mergeConfig(before, value) : value;
  }
  return merged;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function listeningUrl(running: RunningProcess, timeoutMs: number): Promise<string> {
  try {
    return await running.waitForLine(urlOfListeningLine, timeoutMs);
  } catch (error) {
    await running.kill();
    throw new Error(`the server did not start\n${running.stderr()}\n${running.stdout().slice(-4000)}`, {
      cause: error,
    });
  }
}

/** The log is JSON lines; anything else on stdout is not ours to judge here. */
function urlOfListeningLine(line: string): string | null {
  if (!line.startsWith('{') || !line.includes('"listening"')) return null;
  const entry: unknown = JSON.parse(line);
  if (!isPlainObject(entry) || entry['message'] !== 'listening') return null;
  return typeof entry['url'] === 'string' ? entry['url'].replace(/\/$/, '') : null;
}

function runningServer(
  running: RunningProcess,
  url: string,
  { config, root, folder }: { readonly config: unknown; readonly root: string; readonly folder: string },
): RunningServer {
  const port = Number(new URL(url).port);
  return {
    url,
    host: `127.0.0.1:${port}`,
    port,
    root,
    configFile: path.join(folder, 'config.json'),
    pid: running.pid,
    stdout: () => running.stdout(),
    async stop() {
      const exitCode = await running.stop(stopTimeoutMs);
      keepLogFiles(config);
      await rm(folder, { recursive: true, force: true });
      return exitCode;
    },
    kill: () => running.kill(),
  };
}
