/**
 * What the tests of one process leave for the search at the end of a run (`search.ts`): everything that the servers
 * wrote and answered with, and every secret that was used. Off unless the run asks for it (`setup.ts`).
 */
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** The folder of the run; '' when nothing is to be kept. Read at the start: it never changes. */
const folder = process.env['ZOT_TEST_TRACES'] ?? '';

export const isTracing: boolean = folder !== '';

const FLUSH_CHARS = 256 * 1024;
/** Shorter ones are found everywhere by chance; their encoded forms are noted as well and are longer. */
const SECRET_CHARS_MIN = 10;

let gathered: string[] = [];
let gatheredChars = 0;
const secrets = new Set<string>();

/** Keeps what a server wrote, or answered where no secret belongs. */
export function keepOutput(text: string): void {
  if (!isTracing || text === '') return;
  gathered.push(text);
  gatheredChars += text.length;
  if (gatheredChars > FLUSH_CHARS) flush();
}

/** Notes something that no server may write down: a password, a token, a key, a cookie's value. */
export function noteSecret(text: string): void {
  if (isTracing && text.length >= SECRET_CHARS_MIN) secrets.add(text);
}

function flush(): void {
  if (gathered.length > 0) appendFileSync(path.join(folder, `output-${process.pid}`), gathered.join(''));
  gathered = [];
  gatheredChars = 0;
}

if (isTracing)
  process.on('exit', () => {
    flush();
    const lines = [...secrets].map((secret) => `${JSON.stringify(secret)}\n`);
    appendFileSync(path.join(folder, `secrets-${process.pid}`), lines.join(''));
  });
