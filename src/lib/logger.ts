import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** The levels of zot's configuration and what they come down to. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'warning' | 'error' | 'fatal' | 'panic';

const LEVELS: Readonly<Record<LogLevel, string>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
};

export interface LogOptions {
  readonly level: LogLevel;
  /** A file to append to; '' is standard output. */
  readonly output: string;
  /** Names the process in lines when there are several. */
  readonly process?: string;
}

export interface Log {
  readonly logger: Logger;
  /** Changes how much is logged from now on, by this logger and those made from it. */
  setLevel(level: LogLevel): void;
  /** Opens the file again under its name, after a rotation. */
  reopen(): void;
  /**
   * Writes what is still gathered, before the process ends. Never fails and never takes longer than a second: whoever
   * reads the log may have stopped reading, which must not keep the process from ending. What could not be written
   * by then is given up.
   */
  flush(): Promise<void>;
}

/**
 * Lines gathered before a write. A pipe takes up to 4 KiB in one piece, so that lines of several processes do not
 * run into each other.
 */
const WRITE_BYTES_MAX = 4096;
const FLUSH_MS = 250;
const LAST_FLUSH_MS = 1000;

/** JSON lines with the fields that zot's lines have: `time`, `level`, `message`, then those of the event. */
export function openLog(options: LogOptions): Log {
  const destination = openDestination(options.output);
  const children: Logger[] = [];
  const logger: Logger = pino(
    {
      level: LEVELS[options.level],
      messageKey: 'message',
      base: options.process === undefined ? null : { process: options.process },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      // Children keep the level that they were made with; they are few, and live as long as the process.
      onChild: (child) => children.push(child),
    },
    destination as DestinationStream,
  );
  return {
    logger,
    setLevel: (level) => {
      for (const one of [logger, ...children]) one.level = LEVELS[level];
    },
    reopen: () => {
      if (options.output !== '') destination.reopen();
    },
    flush: () => destination.flushBounded(),
  };
}

type Destination = ReturnType<typeof pino.destination> & { flushBounded(): Promise<void> };

function openDestination(output: string): Destination {
  let isGivenUp = false;
  const options = {
    dest: output === '' ? 1 : output,
    append: true,
    mode: 0o600,
    sync: false,
    minLength: WRITE_BYTES_MAX - 1,
    maxWrite: WRITE_BYTES_MAX,
    periodicFlush: FLUSH_MS,
    // Else a reader who stopped reading is waited for without end when the process exits.
    retryEAGAIN: () => !isGivenUp,
  };
  // Node turns a pipe into one that never blocks when it is first touched. A write that blocks, since the reader
  // stopped reading, would keep a thread, and with it the process, from ending.
  if (output === '') void process.stdout;
  const destination = pino.destination(options);
  let reported = '';
  // A log that cannot be written (a full disk) must not end the server.
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === reported || isGivenUp) return;
    reported = error.code ?? '';
    process.stderr.write(`the log cannot be written: ${error.message}\n`);
  });
  const flushBounded = async (): Promise<void> => {
    if (isGivenUp) return;
    const timer = setTimeout(() => {
      isGivenUp = true;
      destination.destroy();
      late.resolve();
    }, LAST_FLUSH_MS);
    const late = Promise.withResolvers<void>();
    await Promise.race([flushAll(destination), late.promise]);
    clearTimeout(timer);
  };
  return Object.assign(destination, { flushBounded });
}

/** One flush ends with a write that was under way, the next one with what had been gathered beside it. */
async function flushAll(destination: ReturnType<typeof pino.destination>): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    await new Promise<void>((resolve) => destination.flush(() => resolve()));
  }
}
