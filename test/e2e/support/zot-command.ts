import { main } from '../../../src/cli/main.ts';

export interface CommandOutcome {
  readonly exitCode: number;
  readonly text: string;
  readonly errors: string;
}

/** Runs a command of `zot` in this process, and gathers what it prints. */
export async function zot(...words: string[]): Promise<CommandOutcome> {
  let text = '';
  let errors = '';
  const io = {
    stdout: { write: (more: string) => (text += more) },
    stderr: { write: (more: string) => (errors += more) },
  };
  const exitCode = await main(words, 'zot', io);
  return { exitCode, text, errors };
}
