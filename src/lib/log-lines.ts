import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { pino } from 'pino';
import { StartError } from './start-error.ts';

export interface LinesOptions {
  /** A file to append to; '' is standard output. */
  readonly output: string;
  /** Write each line at once instead of gathering them for a while. */
  readonly atOnce: boolean;
  /** For the one message about a disk that is full. */
  readonly name: string;
}

type Destination = ReturnType<typeof pino.destination>;

/** Where lines go, and how what is gathered is written before the process ends. */
export interface Lines {
  readonly destination: Destination;
  /** Never fails and never takes longer than a second; what could not be written by then is given up. */
  flush(): Promise<void>;
}

/**
 * Lines gathered before a write. A pipe takes up to 4 KiB in one piece, so that lines of several processes do not
 * run into each other. A file takes what is appended to it at once in one piece, and a write costs as much as logging
 * ten lines: there are fewer, larger ones.
 */
const PIPE_WRITE_BYTES_MAX = 4096;
const FILE_WRITE_BYTES_MAX = 32 * 1024;
const FLUSH_MS = 250;
const LAST_FLUSH_MS = 1000;

/** Opens a file, or standard output, for whole lines that several processes append. */
export function openLines({ output, atOnce, name }: LinesOptions): Lines {
  let isGivenUp = false;
  // Node turns a pipe into one that never blocks when it is first touched. A write that blocks, since the reader
  // stopped reading, would keep a thread, and with it the process, from ending.
  if (output === '') void process.stdout;
  const writeBytesMax = leadsToFile(output) ? FILE_WRITE_BYTES_MAX : PIPE_WRITE_BYTES_MAX;
  const destination = pino.destination({
    dest: output === '' ? 1 : output,
    append: true,
    mode: 0o600,
    sync: false,
    minLength: atOnce ? 1 : writeBytesMax - 1,
    maxWrite: writeBytesMax,
    periodicFlush: FLUSH_MS,
    // Else a reader who stopped reading is waited for without end when the process exits.
    retryEAGAIN: () => !isGivenUp,
  });
  let reported = '';
  // A log that cannot be written (a full disk) must not end the server.
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === reported || isGivenUp) return;
    reported = error.code ?? '';
    process.stderr.write(`${name} cannot be written: ${error.message}\n`);
  });
  const flush = async (): Promise<void> => {
    if (isGivenUp) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      isGivenUp = true;
      destination.destroy();
      late.resolve();
    }, LAST_FLUSH_MS);
    await Promise.race([flushAll(destination), late.promise]);
    clearTimeout(timer);
  };
  return { destination, flush };
}

/**
 * Opens a file once, so that a process that cannot write it says so and does not start: what fails later, such as a
 * full disk, must not end the server. Pipes are left out, since opening one may wait for a reader.
 *
 * @throws StartError that names the key of the configuration.
 */
export function requireWritable(path: string, key: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFIFO() === true) return;
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`${key}: ${path} cannot be written: ${reason}`, { cause: error });
  }
}

/** One flush ends with a write that was under way, the next one with what had been gathered beside it. */
async function flushAll(destination: Destination): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    await new Promise<void>((resolve) => destination.flush(() => resolve()));
  }
}

/** Whether lines go to a file, which may have to be made: `/dev/stderr` and the like may be pipes. */
function leadsToFile(output: string): boolean {
  try {
    const stats = output === '' ? fstatSync(1) : statSync(output, { throwIfNoEntry: false });
    return stats === undefined || stats.isFile();
  } catch {
    // A descriptor that is closed leads nowhere; what cannot be looked at is told when it is opened.
    return false;
  }
}
