import { parseArgs } from 'node:util';
import { nearestNames } from './nearest-names.ts';
import { UsageError, type Command, type CommandCall, type Flag } from './command.ts';

const helpFlag: Flag = { name: 'help', short: 'h', help: 'Show this help.' };

/** The flags of a command together with those that every command has. */
export function flagsOf(command: Command): readonly Flag[] {
  return [...command.flags, helpFlag];
}

/**
 * Reads the words after a command's name in GNU style: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, flags
 * and arguments mixed, `--` ends the flags, and switches also as `--switch=true` or `--switch=false`.
 *
 * @returns the call, or `help` when the user asked for help.
 * @throws UsageError for an unknown flag, a missing or unwanted value, or a wrong number of arguments.
 */
export function parseArguments(command: Command, words: readonly string[]): CommandCall | 'help' {
  const flags = flagsOf(command);
  const { tokens } = parseArgs({
    args: [...words],
    options: parseOptionsOf(flags),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, (string | boolean)[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = flags.find(({ name }) => name === token.name);
    if (flag === undefined) throw unknownFlag(token.rawName, flags);
    values.set(flag.name, [...(values.get(flag.name) ?? []), readFlag(flag, token.value)]);
  }
  if (values.get(helpFlag.name)?.at(-1) === true) return 'help';
  checkCount(command, positionals);
  return callOf(positionals, values);
}

function parseOptionsOf(
  flags: readonly Flag[],
): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    flags.map((flag) => [
      flag.name,
      {
        type: flag.value === undefined ? ('boolean' as const) : ('string' as const),
        ...(flag.short === undefined ? {} : { short: flag.short }),
      },
    ]),
  );
}

/** The spellings of a switch's value that zot's flag parser takes. */
const trueWords = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const falseWords = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

function readFlag(flag: Flag, value: string | undefined): string | boolean {
  if (flag.value !== undefined) {
    if (value === undefined) throw new UsageError(`flag needs an argument: --${flag.name} <${flag.value}>`);
    return value;
  }
  if (value === undefined || trueWords.has(value)) return true;
  if (falseWords.has(value)) return false;
  throw new UsageError(`invalid value "${value}" for --${flag.name}: write true, false or no value`);
}

function unknownFlag(rawName: string, flags: readonly Flag[]): UsageError {
  const [nearest] = nearestNames(
    rawName.replace(/^-+/, ''),
    flags.map(({ name }) => name),
  );
  const hint = nearest === undefined ? '' : ` (did you mean --${nearest}?)`;
  return new UsageError(`unknown flag: ${rawName}${hint}`);
}

/** The counts are in the words of zot; behind them stands which word is missing, or the first that is too much. */
function checkCount(command: Command, given: readonly string[]): void {
  const most = command.args.at(-1)?.repeated === true ? Infinity : command.args.length;
  const least = command.args.filter(({ required }) => required).length;
  const received = given.length;
  if (received >= least && received <= most) return;
  const expected =
    most === Infinity
      ? `needs at least ${least} arg(s)`
      : least === most
        ? `accepts ${most} arg(s)`
        : `accepts between ${least} and ${most} arg(s)`;
  const missing = command.args.slice(received, least).map(({ name }) => `<${name}>`);
  const fault =
    missing.length === 0
      ? `"${given[most]}" is too much`
      : `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing`;
  throw new UsageError(`${expected}, received ${received}: ${fault}`);
}

function callOf(
  positionals: readonly string[],
  values: ReadonlyMap<string, readonly (string | boolean)[]>,
): CommandCall {
  const listValues = (flag: string): string[] =>
    (values.get(flag) ?? []).filter((value) => typeof value === 'string');
  return {
    positionals,
    // Of several the last one counts.
    isSet: (flag) => values.get(flag)?.at(-1) === true,
    findValue: (flag) => listValues(flag).at(-1) ?? null,
    listValues,
  };
}
