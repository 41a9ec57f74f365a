import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { configFromObject, type Config } from '#config';
import { openLog, type Log } from '#lib/logger';
import { openKeeperSide, openServingSide, type KeeperSide, type ServingSide } from '../../../src/app.ts';
import type { StorageDriver } from '#storage';
import { keepLogFiles, noteConfig } from '../../support/secrets/noted.ts';
import { sendRequest, type Answer, type Call } from './client.ts';

export interface ServedOptions {
  readonly http?: Record<string, unknown>;
  readonly storage?: Record<string, unknown>;
  readonly extensions?: Record<string, unknown>;
  /** A storage folder of the caller's, left in place on close. */
  readonly root?: string;
  /** Instead of the local folder. */
  readonly driver?: StorageDriver;
  /** Prepares the storage folder before the server looks at it. */
  readonly prepare?: (root: string) => Promise<void>;
}

/** A registry in this process, on a real port. */
export interface Served {
  /** `http://127.0.0.1:port`, without a closing slash. */
  readonly url: string;
  readonly port: number;
  readonly root: string;
  /** Sends one request on a connection of its own. */
  request(method: string, target: string, call?: Omit<Call, 'method' | 'target'>): Promise<Answer>;
  /** The lines of the log so far. */
  logLines(): Promise<LogLine[]>;
  /** The lines of the audit log so far. */
  auditLines(): Promise<LogLine[]>;
  /** The access log lines of one path, waited for until there are `count`. */
  accessLines(target: string, count?: number, timeoutMs?: number): Promise<LogLine[]>;
  /** Makes `/readyz` say no, as the beginning of a stop does. */
  announceStop(): void;
  close(): Promise<void>;
}

export type LogLine = Readonly<Record<string, unknown>>;

/** Starts a registry in this process: keeper and serving side wired as `zot serve` does with one worker. */
export async function serveRegistry(options: ServedOptions = {}): Promise<Served> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-e2e-'));
  const root = options.root ?? path.join(folder, 'data');
  await options.prepare?.(root);
  const files = { output: path.join(folder, 'zot.log'), audit: path.join(folder, 'audit.log') };
  const written = {
    storage: { rootDirectory: root, commit: false, minFreeSpace: 0, ...options.storage },
    http: { address: '127.0.0.1', port: 0, workers: 1, ...options.http },
    log: { level: 'debug', ...files },
    ...(options.extensions === undefined ? {} : { extensions: options.extensions }),
  };
  noteConfig(written);
  const { config } = configFromObject(written);
  const log = openLog({ ...files, level: 'debug' });
  const { logger, audit } = log;
  const { driver } = options;
  const kept = await openKeeperSide({ config, logger, audit, ...(driver === undefined ? {} : { driver }) });
  const side = await openServing(config, log, kept).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const { port } = side.server.server.address() as AddressInfo;
  const secure = config.http.tls !== undefined;
  const linesOf = async (file: string): Promise<LogLine[]> => {
    await log.flush();
    return parseLines(await readFile(file, 'utf8'));
  };
  const logLines = (): Promise<LogLine[]> => linesOf(files.output);
  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    root,
    request: (method, target, call = {}) => sendRequest(port, { ...call, method, target }),
    logLines,
    auditLines: () => linesOf(files.audit),
    accessLines: (target, count = 1, timeoutMs = LINES_TIMEOUT_MS) =>
      waitForLines(logLines, target, { count, timeoutMs }),
    announceStop: () => side.announceStop(),
    async close() {
      side.server.server.closeAllConnections?.();
      await side.server.close();
      await side.close();
      await kept.close();
      await log.flush();
      keepLogFiles(written);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openServing(config: Config, { logger, audit }: Log, kept: KeeperSide): Promise<ServingSide> {
  try {
    await kept.walked;
    const { keeper, storage, index } = kept;
    const side = await openServingSide({ config, logger, audit, keeper, storage, index });
    // As the program does: thousands that connect at once must not be left to the kernel's patience.
    await side.server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 });
    return side;
  } catch (error) {
    await kept.close();
    throw error;
  }
}

function parseLines(text: string): LogLine[] {
  const whole = text.split('\n').filter((line) => line !== '');
  return whole.map((line) => JSON.parse(line) as LogLine);
}

const LINES_TIMEOUT_MS = 20_000;

async function waitForLines(
  logLines: () => Promise<LogLine[]>,
  target: string,
  { count, timeoutMs }: { readonly count: number; readonly timeoutMs: number },
): Promise<LogLine[]> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const found = (await logLines()).filter((line) => line.message === 'HTTP API' && line.path === target);
    if (found.length >= count) return found;
    if (performance.now() > deadlineMs) throw new Error(`${found.length} access log lines of ${target}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
