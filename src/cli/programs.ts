import { basename } from 'node:path';
import { zotCommands } from './commands.ts';
import type { Program } from './command.ts';

/**
 * Every name that the executable answers to. The same file under another name (a link) is another program; an entry
 * here is all that a new one needs.
 */
const programs: readonly Program[] = [
  {
    name: 'zot',
    summary:
      'zot is a registry for container images and other artifacts, after the OCI distribution specification.',
    commands: zotCommands,
  },
];

/**
 * The program meant by the name under which the executable was called, such as `/usr/bin/zot` or `zot-linux-arm64`.
 * A name that is not in the table means `zot`: people rename the file.
 */
export function programFor(calledAs: string): Program {
  const called = basename(calledAs).replace(/\.(exe|[cm]?[jt]s)$/, '');
  const exact = programs.find(({ name }) => name === called);
  const [zot] = programs;
  const program = exact ?? zot;
  if (program === undefined) throw new Error('the table of programs is empty');
  return program;
}
