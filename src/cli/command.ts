/** Where a command writes text. `process.stdout` and a collecting object in a test both fit. */
export interface TextSink {
  write(text: string): unknown;
}

/** The two streams of a command: results on `stdout`, remarks and errors on `stderr`. */
export interface CommandIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

/** A flag of a command. Flags with a `value` take a text; all others are switches that are off by default. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly value?: string;
  /** May be given several times. */
  readonly repeated?: boolean;
  readonly help: string;
}

/** A positional argument, in the order in which the user writes it. */
export interface Argument {
  readonly name: string;
  readonly required: boolean;
  /** The last one may be given several times. */
  readonly repeated?: boolean;
  readonly help: string;
}

/** The words of one call, after parsing: one entry per declared flag and argument. */
export interface CommandCall {
  /** The positional arguments; an optional one that was left out is missing at the end. */
  readonly positionals: readonly string[];
  /** True when the switch was given (and not as `--switch=false`). */
  isSet(flag: string): boolean;
  /** The text of a flag with a value, or null when it was not given. */
  findValue(flag: string): string | null;
  /** Every text of a flag that may be given several times, in order. */
  listValues(flag: string): readonly string[];
}

/** One command: all that help, parsing and completion need, and how to run it. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** A few lines that teach: what it does, what it needs, what comes out. */
  readonly description: string;
  readonly args: readonly Argument[];
  readonly flags: readonly Flag[];
  /** Whole command lines that a reader can paste. */
  readonly examples: readonly string[];
  /** Commands for the program itself (its worker processes) are hidden from help. */
  readonly hidden?: boolean;
  /** Loads the command's module and runs it. Resolves with the exit code. */
  run(call: CommandCall, io: CommandIo): Promise<number>;
}

/** A name that the executable answers to, with its commands. */
export interface Program {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly Command[];
}

/** The user wrote a command line that cannot be understood. Its message says what and how to mend it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
