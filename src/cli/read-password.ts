/**
 * Reads passwords without showing them: from a prompt, or from standard input. Never from the command line, which
 * every user of the machine can see.
 */
import { UsageError } from './command.ts';
import type { TextSink } from './command.ts';

/** Standard input as far as it is needed; a terminal can be told not to show what is typed. */
export interface PasswordInput extends AsyncIterable<Buffer | string> {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

export interface PasswordQuestion {
  readonly prompt: string;
  /** Ask twice, since nobody sees what is typed. */
  readonly confirms: boolean;
}

const PASSWORD_BYTES_MAX = 4096;

/** The first line of standard input, without its end. Throws `UsageError`. */
export async function passwordOfInput(input: PasswordInput): Promise<string> {
  let text = '';
  for await (const chunk of input) {
    text += chunk.toString();
    if (text.includes('\n')) break;
    if (text.length > PASSWORD_BYTES_MAX) throw new UsageError('the password on standard input is too long');
  }
  const [line = ''] = text.split('\n');
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/** Asks at the terminal, without an echo. Throws `UsageError` without a terminal, and when the two answers differ. */
export async function passwordOfTerminal(
  input: PasswordInput,
  out: TextSink,
  question: PasswordQuestion,
): Promise<string> {
  if (input.isTTY !== true || input.setRawMode === undefined) {
    throw new UsageError(
      'there is no terminal to ask for the password: hand it in on standard input with --stdin',
    );
  }
  input.setRawMode(true);
  const keys = new Keys(input);
  try {
    const first = await answerOf(keys, out, `${question.prompt}: `);
    if (!question.confirms) return first;
    const second = await answerOf(keys, out, 'Again: ');
    if (first !== second) throw new UsageError('the two passwords differ; nothing was changed');
    return first;
  } finally {
    input.setRawMode(false);
    await keys.close();
  }
}

/** What is typed, character by character. */
class Keys {
  #chunks: AsyncIterator<Buffer | string>;
  #waiting: string[] = [];

  constructor(input: PasswordInput) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    while (this.#waiting.length === 0) {
      const chunk = await this.#chunks.next();
      if (chunk.done === true) throw new UsageError('the terminal was closed');
      this.#waiting.push(...Array.from(chunk.value.toString()));
    }
    return this.#waiting.shift() ?? '';
  }

  /** Lets go of the input, which would keep the process alive. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

async function answerOf(keys: Keys, out: TextSink, prompt: string): Promise<string> {
  out.write(prompt);
  const typed: string[] = [];
  for (;;) {
    const key = await keys.next();
    if (key === '\r' || key === '\n') break;
    // Control-C and Control-D, which a raw terminal hands over like any other key.
    if (key === '\u0003' || key === '\u0004') {
      out.write('\n');
      throw new UsageError('interrupted; nothing was changed');
    }
    if (key === '\u007f' || key === '\b') typed.pop();
    else if (key === '\u0015') typed.length = 0;
    else if (typed.length < PASSWORD_BYTES_MAX) typed.push(key);
  }
  out.write('\n');
  return typed.join('');
}
