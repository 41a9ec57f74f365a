import { readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { hashSync } from 'bcryptjs';
import { FileChangedError, findStats, replaceFile } from '#lib/replace-file';
import { HTPASSWD_BYTES_MAX } from '../access/passwords/htpasswd-file.ts';
import { readStoredPassword, verifyPassword } from '../access/passwords/stored-password.ts';
import { UsageError } from './command.ts';
import type { CommandIo } from './command.ts';
import { hashOfUser, listUsers, withUser } from './htpasswd-text.ts';
import { passwordOfInput, passwordOfTerminal } from './read-password.ts';
import type { PasswordInput } from './read-password.ts';

export interface HtpasswdArguments {
  readonly action: string;
  readonly path: string;
  /** '' when none was named. */
  readonly user: string;
  /** The password is the first line of standard input. */
  readonly stdin: boolean;
  readonly cost: string | null;
  readonly json: boolean;
}

interface PasswordText {
  readonly text: string;
  /** `null` when there is no file yet. */
  readonly stats: Stats | null;
}

const ACTIONS: ReadonlySet<string> = new Set(['add', 'set', 'remove', 'list', 'verify']);
const COST_DEFAULT = 10;
const COST_MIN = 4;
const COST_MAX = 17;
/** bcrypt looks at no more: two longer passwords that begin alike would be one. */
const BCRYPT_BYTES_MAX = 72;
const USER_BYTES_MAX = 255;

/** `zot htpasswd`: gives the exit code. Throws `UsageError` with what cannot be done. */
export async function htpasswdCommand(
  args: HtpasswdArguments,
  io: CommandIo,
  input: PasswordInput,
): Promise<number> {
  const { action, path } = args;
  if (!ACTIONS.has(action))
    throw new UsageError(`unknown action "${action}": write add, set, remove, list or verify`);
  const file = readText(path);
  if (action === 'list') return list(args, file, io);
  checkUser(args.user);
  if (file.stats === null && action !== 'add') throw new UsageError(`there is no file ${path}`);
  switch (action) {
    case 'add':
    case 'set':
      return store(args, file, io, input);
    case 'remove':
      return remove(args, file, io);
    default:
      return verify(args, file, io, input);
  }
}

function readText(path: string): PasswordText {
  const stats = findStats(path);
  if (stats === null) return { text: '', stats };
  if (stats.size > HTPASSWD_BYTES_MAX) throw new UsageError(`${path} is larger than any password file`);
  return { text: readFileSync(path, 'utf8'), stats };
}

function list({ path, json }: HtpasswdArguments, { text, stats }: PasswordText, io: CommandIo): number {
  if (stats === null) throw new UsageError(`there is no file ${path}`);
  const users = listUsers(text);
  if (json) io.stdout.write(`${JSON.stringify({ users }, null, 2)}\n`);
  else for (const { user, password } of users) io.stdout.write(`${user}\t${password}\n`);
  return 0;
}

async function store(
  args: HtpasswdArguments,
  file: PasswordText,
  io: CommandIo,
  input: PasswordInput,
): Promise<number> {
  const { action, path, user } = args;
  const exists = hashOfUser(file.text, user) !== null;
  if (action === 'add' && exists)
    throw new UsageError(`${user} is in ${path} already: change the password with "set"`);
  if (action === 'set' && !exists) throw new UsageError(`${user} is not in ${path}: add the user with "add"`);
  const cost = readCost(args.cost);
  const password = await ask(args, io, input, { prompt: `New password of ${user}`, confirms: true });
  checkPassword(password);
  write(path, withUser(file.text, user, hashSync(password, cost)), file);
  io.stderr.write(
    `${user} ${action === 'add' ? 'can sign in now' : 'has a new password'}. A running server knows within a second.\n`,
  );
  return 0;
}

function remove({ path, user }: HtpasswdArguments, file: PasswordText, io: CommandIo): number {
  if (hashOfUser(file.text, user) === null) throw new UsageError(`${user} is not in ${path}`);
  write(path, withUser(file.text, user, null), file);
  io.stderr.write(`${user} was removed. Sessions and API keys of this user end within a second.\n`);
  return 0;
}

async function verify(
  args: HtpasswdArguments,
  file: PasswordText,
  io: CommandIo,
  input: PasswordInput,
): Promise<number> {
  const { path, user } = args;
  const hash = hashOfUser(file.text, user);
  if (hash === null) throw new UsageError(`${user} is not in ${path}`);
  const stored = readStoredPassword(hash);
  if (typeof stored === 'string') throw new UsageError(`${user} cannot sign in: ${stored}`);
  const password = await ask(args, io, input, { prompt: `Password of ${user}`, confirms: false });
  const isRight = verifyPassword(password, hash);
  io.stderr.write(`The password of ${user} is ${isRight ? 'right' : 'wrong'}.\n`);
  return isRight ? 0 : 1;
}

function ask(
  { stdin }: HtpasswdArguments,
  io: CommandIo,
  input: PasswordInput,
  question: { readonly prompt: string; readonly confirms: boolean },
): Promise<string> {
  return stdin ? passwordOfInput(input) : passwordOfTerminal(input, io.stderr, question);
}

function checkUser(user: string): void {
  if (user === '') throw new UsageError('name the user');
  if (/[:\p{Cc}]/u.test(user))
    throw new UsageError('the name of a user can hold no colon and no control character');
  if (Buffer.byteLength(user) > USER_BYTES_MAX)
    throw new UsageError(`the name is longer than ${USER_BYTES_MAX} bytes`);
}

function checkPassword(password: string): void {
  if (password === '') throw new UsageError('the password is empty; nothing was changed');
  if (password.includes('\0'))
    throw new UsageError('the password holds a NUL character; nothing was changed');
  if (Buffer.byteLength(password) > BCRYPT_BYTES_MAX) {
    throw new UsageError(
      `the password is longer than ${BCRYPT_BYTES_MAX} bytes, of which bcrypt sees no more`,
    );
  }
}

function readCost(text: string | null): number {
  const cost = text === null ? COST_DEFAULT : Number(text);
  if (Number.isInteger(cost) && cost >= COST_MIN && cost <= COST_MAX) return cost;
  throw new UsageError(`the cost is a number from ${COST_MIN} to ${COST_MAX}; each step doubles the time`);
}

function write(path: string, text: string, { stats }: PasswordText): void {
  try {
    replaceFile(path, text, { expected: stats, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof FileChangedError)) throw error;
    throw new UsageError(`${error.message}; nothing was written, try again`, { cause: error });
  }
}
