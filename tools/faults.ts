import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { glob } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { rootFolder } from './build/paths.ts';

/**
 * `npm run faults`: the fault suite at any size. Every suite repeats its varying part `--rounds` times with choices
 * that follow from `--seed`; the seed is printed, so that a failure can be repeated.
 */
const usage = `npm run faults -- [--rounds N] [--seed S] [--only NAME]

  --rounds N   repeat the varying part of every suite N times (without it: the size of npm test)
  --seed S     decide all choices by this number (without it: another one in each run)
  --only NAME  only the suites whose file name contains NAME, for example: kill-loop
`;

/** A suite may take this long for each round, and this long besides. */
const ROUND_TIMEOUT_MS = 120_000;
const SUITE_TIMEOUT_MS = 600_000;

interface Options {
  readonly rounds: number | null;
  readonly seed: number;
  readonly only: string;
}

function readOptions(args: readonly string[]): Options | string {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({ args: [...args], options: { rounds: text, seed: text, only: text } });
    const rounds = wholeNumber('--rounds', values.rounds);
    const seed = wholeNumber('--seed', values.seed);
    if (rounds === 0) return '--rounds must be at least 1';
    return { rounds, seed: seed ?? randomInt(1, 1_000_000), only: values.only ?? '' };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function wholeNumber(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} is not a whole number: ${text}`);
  return Number(text);
}

async function suites(only: string): Promise<string[]> {
  const all = await Array.fromAsync(glob('test/faults/**/*.test.ts', { cwd: rootFolder }));
  return all.filter((path) => path.includes(only)).toSorted();
}

function run(files: readonly string[], { rounds, seed }: Options): Promise<number> {
  const timeoutMs = SUITE_TIMEOUT_MS + (rounds ?? 1) * ROUND_TIMEOUT_MS;
  const flags = ['--test', '--test-concurrency=2', `--test-timeout=${timeoutMs}`];
  const child = spawn(process.execPath, [...flags, '--test-reporter=./tools/test-totals.ts', ...files], {
    cwd: rootFolder,
    stdio: 'inherit',
    env: {
      ...process.env,
      ZOT_FAULTS_SEED: String(seed),
      ...(rounds === null ? {} : { ZOT_FAULTS_ROUNDS: String(rounds) }),
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', reject);
  child.on('close', (code) => resolve(code ?? 1));
  return promise;
}

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  console.error(`${options}\n\n${usage}`);
  process.exitCode = 1;
} else {
  const files = await suites(options.only);
  if (files.length === 0) {
    console.error(`no suite is named like ${options.only}`);
    process.exitCode = 1;
  } else {
    const size = options.rounds === null ? 'usual size' : `${options.rounds} rounds`;
    console.log(`${files.length} suites, ${size}, seed ${options.seed}`);
    process.exitCode = await run(files, options);
  }
}
