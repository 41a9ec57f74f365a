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
  /** Opens the file again under its name, after a rotation. */
  reopen(): void;
  /** Writes what is still gathered, before the process ends. */
  flush(): void;
}

/**
 * Lines gathered before a write. A pipe takes up to 4 KiB in one piece, so that lines of several processes do not
 * run into each other.
 */
const WRITE_BYTES_MAX = 4096;
const FLUSH_MS = 250;

/** JSON lines with the fields that zot's lines have: `time`, `level`, `message`, then those of the event. */
export function openLog(options: LogOptions): Log {
  const destination = pino.destination({
    dest: options.output === '' ? 1 : options.output,
    append: true,
    mode: 0o600,
    sync: false,
    minLength: WRITE_BYTES_MAX - 1,
    maxWrite: WRITE_BYTES_MAX,
    periodicFlush: FLUSH_MS,
  });
  const logger = pino(
    {
      level: LEVELS[options.level],
      messageKey: 'message',
      base: options.process === undefined ? null : { process: options.process },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    destination as DestinationStream,
  );
  return {
    logger,
    reopen: () => {
      if (options.output !== '') destination.reopen();
    },
    flush: () => {
      try {
        destination.flushSync();
      } catch (error) {
        // A destination that never opened has nothing to write.
        if (!(error instanceof Error && /not ready/.test(error.message))) throw error;
      }
    },
  };
}
