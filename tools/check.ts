import { spawn } from 'node:child_process';
import { rootFolder } from './build/paths.ts';

/**
 * `npm run check`: everything that can be said about the sources without running the program. All steps run, two at a
 * time, and each that fails shows what it said.
 */
interface Step {
  readonly name: string;
  readonly command: readonly [file: string, ...args: string[]];
  /** What to do when it fails, where the step's own words do not say so. */
  readonly advice?: string;
}

const steps: readonly Step[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint and layers', command: ['oxlint'] },
  {
    name: 'dead code and dependencies',
    command: ['knip', '--no-progress'],
    advice: 'remove what nobody uses, or name a new entry in knip.config.ts',
  },
  { name: 'format', command: ['oxfmt', '--check'], advice: 'run: npm run format' },
  {
    name: 'tidy',
    command: [
      'node',
      '--test',
      '--test-reporter=./tools/test-totals.ts',
      'tools/tidy.test.ts',
      'tools/layers.test.ts',
    ],
  },
];

const stepTimeoutMs = 100_000;
const atOnce = 2;

interface Outcome {
  readonly step: Step;
  readonly failed: boolean;
  readonly output: string;
  readonly seconds: string;
}

function run(step: Step): Promise<Outcome> {
  const [file, ...args] = step.command;
  const start = performance.now();
  return new Promise((resolve) => {
    const output: Buffer[] = [];
    const child = spawn(file, args, {
      cwd: rootFolder,
      timeout: stepTimeoutMs,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const finish = (failed: boolean): void => {
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      resolve({ step, failed, output: Buffer.concat(output).toString(), seconds });
    };
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
    child.on('error', (error) => {
      output.push(Buffer.from(`${error.message}; run this through npm, which knows where the tools are\n`));
      finish(true);
    });
    child.on('close', (code) => finish(code !== 0));
  });
}

const waiting = [...steps];
const outcomes: Outcome[] = [];
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift())
      outcomes.push(await run(step));
  }),
);

for (const { step, failed, output } of outcomes) {
  if (failed)
    console.log(`\n── ${step.name} ──\n${output.trimEnd()}${step.advice ? `\n→ ${step.advice}` : ''}`);
}
console.log('');
for (const { step, failed, seconds } of outcomes) {
  console.log(`${failed ? 'FAILED' : 'ok    '}  ${step.name} (${seconds} s)`);
}
process.exitCode = outcomes.some(({ failed }) => failed) ? 1 : 0;
