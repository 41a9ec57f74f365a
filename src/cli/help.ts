import { flagsOf } from './parse-arguments.ts';
import type { Command, Flag, Program } from './command.ts';

/** The help of a whole program: what it is, its commands, and a first thing to try. */
export function programHelp(program: Program): string {
  const shown = program.commands.filter(({ hidden }) => hidden !== true);
  const rows = shown.map(({ name, summary }): Row => [name, summary]);
  return [
    program.summary,
    '',
    'Usage:',
    `  ${program.name} <command> [arguments]`,
    '',
    'Commands:',
    ...table([...rows, ['help', 'Show the help of a command: help <command>.']]),
    '',
    'Flags:',
    ...table([
      ['-h, --help', 'Show this help.'],
      ['-v, --version', 'Print the version, the commit and the features of this build as one JSON line.'],
    ]),
    '',
    'Examples:',
    ...shown.flatMap(({ examples }) => examples.slice(0, 1)).map((example) => `  ${example}`),
    '',
    `Use "${program.name} <command> --help" to learn more about a command.`,
    '',
  ].join('\n');
}

/** The help of one command: what it does, how to write it, and examples to paste. */
export function commandHelp(program: Program, command: Command): string {
  const words = command.args.map(({ name, required, repeated }) => {
    const word = required ? `<${name}>` : `[${name}]`;
    return repeated === true ? `${word}...` : word;
  });
  return [
    command.description,
    '',
    'Usage:',
    `  ${[program.name, command.name, ...words, '[flags]'].join(' ')}`,
    '',
    ...(command.args.length === 0
      ? []
      : ['Arguments:', ...table(command.args.map(({ name, help }) => [name, help])), '']),
    'Flags:',
    ...table(flagsOf(command).map((flag) => [flagWords(flag), flag.help])),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}

type Row = readonly [left: string, right: string];

function flagWords(flag: Flag): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  return `${short}--${flag.name}${flag.value === undefined ? '' : ` <${flag.value}>`}`;
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
