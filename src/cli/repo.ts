import { ask } from './ask.ts';
import type { AnswerInput } from './ask.ts';
import { UsageError } from './command.ts';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';
import { userName } from './user-name.ts';

export interface RepoArguments {
  readonly action: string;
  readonly target: string;
  readonly name: string;
  /** '' where there is none. */
  readonly newName: string;
  /** Do not ask. */
  readonly yes: boolean;
  readonly json: boolean;
}

interface RepoResult {
  readonly repository: string;
  readonly target?: string;
  readonly blobs: number;
  readonly uploads: number;
}

/** `zot repo delete` and `zot repo rename`: whole repositories. Exit code 1 when refused, or not confirmed. */
export async function repoCommand(args: RepoArguments, io: CommandIo, input: AnswerInput): Promise<number> {
  const { action, target, name, newName, json } = args;
  requireShape(args);
  if (!args.yes && !(await isConfirmed(args, io, input))) {
    io.stderr.write('Error: nothing was changed\n');
    return 1;
  }
  const user = userName();
  const words = action === 'delete' ? { name, user } : { name, target: newName, user };
  return runControl({ target, command: `repo.${action}`, args: words, json, render }, io);
}

function requireShape({ action, name, newName }: RepoArguments): void {
  if (action !== 'delete' && action !== 'rename')
    throw new UsageError(`"${action}" is not known here; write "zot repo delete" or "zot repo rename"`);
  if (name === '') throw new UsageError(`which repository? Write "zot repo ${action} <config> <name>"`);
  if (action === 'rename' && newName === '')
    throw new UsageError('what is its new name? Write "zot repo rename <config> <name> <new name>"');
  if (action === 'delete' && newName !== '') throw new UsageError('one repository is deleted at a time');
}

async function isConfirmed(
  { action, name, newName }: RepoArguments,
  io: CommandIo,
  input: AnswerInput,
): Promise<boolean> {
  if (input.isTTY !== true)
    throw new UsageError('nobody can be asked, since standard input is no terminal: write --yes');
  const question =
    action === 'delete'
      ? `This deletes ${name} with all its tags, manifests and blobs. Write its name to go on: `
      : `This renames ${name} to ${newName}; the old name ends. Write the old name to go on: `;
  return (await ask(question, io, input)) === name;
}

function render(value: unknown): string {
  const { repository, target, blobs, uploads } = value as RepoResult;
  const ended = uploads === 0 ? '' : `; ${uploads} uploads under way were ended`;
  return target === undefined
    ? `${repository}: deleted, with ${blobs} blobs and manifests${ended}\n`
    : `${repository}: renamed to ${target}, with ${blobs} blobs and manifests${ended}\n`;
}
