import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hashSync } from 'bcryptjs';
import { notePassword } from '../../support/secrets/noted.ts';

/** A folder with a password file that a test changes as it likes. */
export interface PasswordFile {
  readonly folder: string;
  readonly path: string;
  /** Replaces all users: names with their passwords. Renamed into place, as editors and tools do. */
  replace(users: Readonly<Record<string, string>>): Promise<void>;
  append(text: string): Promise<void>;
  remove(): Promise<void>;
}

const COST = 4;

export async function passwordFile(
  users: Readonly<Record<string, string>>,
  cost = COST,
): Promise<PasswordFile> {
  const folder = await mkdtemp(path.join(tmpdir(), 'zot-passwords-'));
  const file = path.join(folder, 'htpasswd');
  const replace = async (all: Readonly<Record<string, string>>): Promise<void> => {
    for (const [user, password] of Object.entries(all)) notePassword(user, password);
    const lines = Object.entries(all).map(([user, password]) => `${user}:${hashSync(password, cost)}\n`);
    await writeFile(`${file}.new`, lines.join(''));
    await rename(`${file}.new`, file);
  };
  await replace(users);
  return {
    folder,
    path: file,
    replace,
    append: (text) => appendFile(file, text),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Headers of Basic credentials. */
export function basic(user: string, password: string): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

export const FROM_UI = { 'x-zot-api-client': 'zot-ui' } as const;
