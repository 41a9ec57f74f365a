import { main } from '../../src/cli/main.ts';

export interface ZotRun {
  readonly exitCode: number;
  readonly text: string;
  readonly errors: string;
}

/** Runs a command of ours in this process. */
export async function runZot(...words: readonly string[]): Promise<ZotRun> {
  let text = '';
  let errors = '';
  const io = {
    stdout: { write: (more: string) => (text += more) },
    stderr: { write: (more: string) => (errors += more) },
  };
  const exitCode = await main(words, 'zot', io);
  return { exitCode, text, errors };
}

/** Runs a command of ours that must succeed, and gives what it reports as JSON. */
export async function zotJson<Report>(...words: readonly string[]): Promise<Report> {
  const { exitCode, text, errors } = await runZot(...words, '--json');
  if (exitCode !== 0) throw new Error(`zot ${words.join(' ')} ended with ${exitCode}: ${errors}${text}`);
  // The caller knows what the command reports.
  return JSON.parse(text) as Report;
}
