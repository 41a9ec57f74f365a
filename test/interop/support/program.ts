import { execFile } from 'node:child_process';
import process from 'node:process';
import { goToolPath, isGoToolInstalled } from '../../../tools/go-tools.ts';
import { findProgram } from '../../../tools/debian-tools.ts';
import type { GoToolName } from '../../../tools/test-tool-versions.ts';

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface ProgramOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a client to its end and returns what it printed.
 * Throws with the command line and all output when it fails or takes longer than allowed (60 s unless given).
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramOutput> {
  const outcome = await tryProgram(file, args, options);
  if (outcome.exitCode === 0) return outcome;
  const output = `${outcome.stdout}\n${outcome.stderr}`.trim().slice(-8000);
  throw new Error(`${file} ${args.join(' ')}\nended with ${outcome.exitCode}\n${output}`);
}

/** As `runProgram`, but a failure of the program is an answer: for clients that must refuse. */
export function tryProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramOutput & { readonly exitCode: number | string }> {
  return new Promise((resolve) => {
    const spawnOptions = {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
    } as const;
    execFile(file, [...args], spawnOptions, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : (error.code ?? error.signal ?? 'an unknown failure');
      resolve({ stdout, stderr, exitCode });
    });
  });
}

/** What may be absent even in CI, with the reason; anything else that is absent there fails the run. */
const mayBeAbsentInCi: Readonly<Record<string, string>> = {
  dockerd: 'a Docker daemon needs rights that some CI machines do not give',
  buildkitd: 'BuildKit needs rights that some CI machines do not give',
};

/**
 * For the `skip` option of a suite: `false` when the program is there, else the printed reason.
 * Throws in CI, where every client must be there.
 */
export async function skipWithout(program: string): Promise<string | false> {
  if ((await findProgram(program)) !== null) return false;
  return absent(program, `${program} is not installed (node tools/test-tools.ts --debian)`);
}

/** As `skipWithout`, for a client that we build from its Go module. */
export async function skipWithoutGoTool(name: GoToolName): Promise<string | false> {
  if (await isGoToolInstalled(name)) return false;
  return absent(name, `${name} is not built (node tools/test-tools.ts ${name})`);
}

/** The reason to skip, or in CI an error unless the program is on the list of what may be absent. */
export function absent(program: string, reason: string): string {
  if (process.env['CI'] === 'true' && mayBeAbsentInCi[program] === undefined) throw new Error(reason);
  return reason;
}

/** A client built from its Go module. */
export function goTool(name: GoToolName): string {
  return goToolPath(name);
}
