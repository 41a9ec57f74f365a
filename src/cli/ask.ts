import { createInterface } from 'node:readline/promises';
import type { CommandIo } from './command.ts';

/** A terminal to ask at, or whatever else standard input is. */
export interface AnswerInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
}

/** Asks a question beside the output of a command, and gives the line that is answered; '' where none comes. */
export async function ask(question: string, io: CommandIo, input: AnswerInput): Promise<string> {
  io.stderr.write(question);
  const lines = createInterface({ input });
  try {
    for await (const line of lines) return line.trim();
    io.stderr.write('\n');
    return '';
  } finally {
    lines.close();
  }
}
