import { nearestNames } from './nearest-names.ts';
import { commandHelp, programHelp } from './help.ts';
import { parseArguments } from './parse-arguments.ts';
import { programFor } from './programs.ts';
import { UsageError, type Command, type CommandIo, type Program } from './command.ts';

/**
 * Runs one command line.
 *
 * @param argv the words after the program's name.
 * @param calledAs the name under which the executable was called; it chooses the program.
 * @param io where to write; the process's own streams unless a test brings others.
 * @returns the exit code. A failure is one line `Error: ...` on stderr and the code 1, never a stack trace.
 */
export async function main(
  argv: readonly string[],
  calledAs = 'zot',
  io: CommandIo = { stdout: process.stdout, stderr: process.stderr },
): Promise<number> {
  try {
    return await dispatch(programFor(calledAs), argv, io);
  } catch (error) {
    io.stderr.write(`Error: ${oneLine(error)}\n`);
    return 1;
  }
}

async function dispatch(program: Program, argv: readonly string[], io: CommandIo): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    io.stderr.write(programHelp(program));
    return 0;
  }
  if (first === '-v' || first === '--version') {
    const { versionLine } = await import('./version.ts');
    io.stdout.write(versionLine(new Date()));
    return 0;
  }
  if (first === '-h' || first === '--help' || first === 'help') {
    const [name] = rest;
    io.stdout.write(
      name === undefined ? programHelp(program) : commandHelp(program, findCommand(program, name)),
    );
    return 0;
  }
  if (first.startsWith('-')) {
    throw new UsageError(`unknown flag: ${first}. Run "${program.name} --help" for usage.`);
  }
  return runCommand(program, findCommand(program, first), rest, io);
}

async function runCommand(
  program: Program,
  command: Command,
  words: readonly string[],
  io: CommandIo,
): Promise<number> {
  const call = readCall(program, command, words);
  if (call === 'help') {
    io.stdout.write(commandHelp(program, command));
    return 0;
  }
  return command.run(call, io);
}

function readCall(
  program: Program,
  command: Command,
  words: readonly string[],
): ReturnType<typeof parseArguments> {
  try {
    return parseArguments(command, words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}. Run "${program.name} ${command.name} --help" for usage.`, {
      cause: error,
    });
  }
}

function findCommand(program: Program, name: string): Command {
  const found = program.commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const shown = program.commands.filter(({ hidden }) => hidden !== true);
  const near = nearestNames(name, [...shown.map((command) => command.name), '--version']);
  const hint = near.length === 0 ? '' : ` Did you mean ${near.map((other) => `"${other}"`).join(' or ')}?`;
  throw new UsageError(
    `unknown command "${name}" for "${program.name}".${hint} Run "${program.name} --help" for usage.`,
  );
}

/** The message of any thrown value, without line breaks, so that a script can read it as one line. */
function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
