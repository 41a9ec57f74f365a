import { ConfigError, findMissingFiles, formatProblem, loadConfig } from '#config';
import type { ConfigProblem, ConfigWarning } from '#config';
import { checkExpression } from './check-expression.ts';
import type { CommandIo } from './command.ts';

export interface VerifyArguments {
  readonly path: string;
  /** Warnings and missing files are errors, too. */
  readonly strict: boolean;
  /** Print one JSON object instead of lines for people. */
  readonly json: boolean;
}

interface Verdict {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/**
 * `zot verify`: reads a configuration as the server would and lists all that is wrong. Starts, creates and
 * changes nothing. On success one log line of zot's shape (`message` "config file is valid") goes to stdout;
 * on failure one with "invalid config file", and each problem as a line on stderr. Gives the exit code.
 */
export async function verifyCommand(args: VerifyArguments, io: CommandIo): Promise<number> {
  const { problems, warnings } = judge(args);
  const isValid = problems.length === 0;
  if (args.json) {
    const verdict = { valid: isValid, config: args.path, problems, warnings };
    io.stdout.write(`${JSON.stringify(verdict, null, 2)}\n`);
    return isValid ? 0 : 1;
  }
  for (const warning of warnings) io.stderr.write(`Warning: ${formatProblem(warning)}\n`);
  io.stdout.write(logLine(args.path, isValid));
  for (const problem of problems)
    io.stderr.write(`Error: invalid server config: ${formatProblem(problem)}\n`);
  return isValid ? 0 : 1;
}

function judge({ path, strict }: VerifyArguments): Verdict {
  try {
    const { config, warnings } = loadConfig(path, { checkExpression });
    const remarks = [...warnings, ...findMissingFiles(config)];
    return strict ? { problems: remarks, warnings: [] } : { problems: [], warnings: remarks };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { problems, warnings } = error;
    return strict ? { problems: [...problems, ...warnings], warnings: [] } : { problems, warnings };
  }
}

function logLine(path: string, isValid: boolean): string {
  const level = isValid ? 'info' : 'error';
  const message = isValid ? 'config file is valid' : 'invalid config file';
  return `${JSON.stringify({ time: new Date().toISOString(), level, message, config: path })}\n`;
}
