import process from 'node:process';

/**
 * How large the suites run. `npm test` uses the size that each test names; `npm run faults -- --rounds N --seed S`
 * runs the repeated part of every test N times, with other choices for other seeds.
 */
export function roundsOr(usual: number): number {
  return wholeNumber('ZOT_FAULTS_ROUNDS') ?? usual;
}

/** Decides every choice of every test, so that a failure can be repeated. */
export const seed: number = wholeNumber('ZOT_FAULTS_SEED') ?? 1;

/** Longer than any test of that many rounds takes; a bound against hanging. */
export function timeoutFor(rounds: number, roundTimeoutMs: number): number {
  return 60_000 + rounds * roundTimeoutMs;
}

function wholeNumber(name: string): number | null {
  const text = process.env[name] ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}
