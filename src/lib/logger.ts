import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';
import { openAuditLog } from './audit-log.ts';
import type { AuditLog } from './audit-log.ts';
import { openLines, requireWritable } from './log-lines.ts';

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
  /** Where lines go instead of to `output`: a command's own stream. */
  readonly sink?: { write(text: string): unknown };
  /** The file of audit records; absent or '': none. */
  readonly audit?: string;
  /** Names the process in lines when there are several. */
  readonly process?: string;
}

export interface Log {
  readonly logger: Logger;
  /** Who changed or tried what; does nothing where no file is configured. */
  readonly audit: AuditLog;
  /** Changes how much is logged from now on, by this logger and those made from it. */
  setLevel(level: LogLevel): void;
  /** Opens the files again under their names, after a rotation. */
  reopen(): void;
  /**
   * Writes what is still gathered, before the process ends. Never fails and never takes longer than a second: whoever
   * reads the log may have stopped reading, which must not keep the process from ending. What could not be written
   * by then is given up.
   */
  flush(): Promise<void>;
}

let timeMs = 0;
let timeText = '';

/** The time as a member of a line, written out once in a millisecond. */
function isoTime(): string {
  const nowMs = Date.now();
  if (nowMs !== timeMs) {
    timeMs = nowMs;
    timeText = `,"time":"${new Date(nowMs).toISOString()}"`;
  }
  return timeText;
}

/** What a logger of pino holds under its own symbols, of which its types say nothing. */
interface LoggerParts {
  readonly [pino.symbols.streamSym]: { write(line: string): unknown };
  /** The members that every line of this logger has, as JSON text with a comma before each. */
  readonly [pino.symbols.chindingsSym]: string;
}

/**
 * Writes the line that `logger.info(fields, message)` would write, at half its cost, for a line with every request: the
 * caller puts the fields together, as pieces of JSON text with a comma before each field.
 */
export function writeInfo(logger: Logger, message: string, fields: readonly string[]): void {
  if (!logger.isLevelEnabled('info')) return;
  // Under its own symbols, which pino exports and its types leave out.
  const parts = logger as unknown as LoggerParts;
  const shared = parts[pino.symbols.chindingsSym];
  // Joined at once: the stream measures the line, and would first have to put the pieces of a sum together.
  const line = ['{"level":"info"', isoTime(), shared, ...fields, ',"message":"', message, '"}\n'].join('');
  parts[pino.symbols.streamSym].write(line);
}

/**
 * JSON lines with the fields that zot's lines have: `time`, `level`, `message`, then those of the event.
 *
 * @throws StartError when a file of `log.output` or `log.audit` cannot be written.
 */
export function openLog(options: LogOptions): Log {
  const { sink } = options;
  if (sink === undefined && options.output !== '') requireWritable(options.output, 'log.output');
  const lines =
    sink === undefined ? openLines({ output: options.output, atOnce: false, name: 'the log' }) : null;
  const audit = openAuditLog(options.audit ?? '', options.process);
  const children: Logger[] = [];
  const logger: Logger = pino(
    {
      level: LEVELS[options.level],
      messageKey: 'message',
      base: options.process === undefined ? null : { process: options.process },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      // Children keep the level that they were made with; they are few, and live as long as the process.
      onChild: (child) => children.push(child),
    },
    (lines?.destination ?? sink) as DestinationStream,
  );
  return {
    logger,
    setLevel: (level) => {
      for (const one of [logger, ...children]) one.level = LEVELS[level];
    },
    audit,
    reopen: () => {
      if (options.output !== '') lines?.destination.reopen();
      audit.reopen();
    },
    flush: async () => {
      await Promise.all([lines?.flush(), audit.flush()]);
    },
  };
}
