/** Nanoseconds of each unit that Go knows. Both spellings of the micro sign are in use. */
const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go keeps durations in 63 bits of nanoseconds: about 292 years. */
const durationNsMax = 2 ** 63;

const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/** Longer texts are refused before they are looked at. */
const textLengthMax = 200;

/**
 * Parses a duration as Go's `time.ParseDuration` does: an optional sign, then numbers each with a unit of
 * `ns us µs ms s m h` (`1h30m`, `1.5s`, `-2m`), or a bare `0`.
 * @returns milliseconds (with fractions below one), or null when the text is no such duration
 */
export function parseGoDuration(text: string): number | null {
  if (text.length > textLengthMax) return null;
  const sign = text.startsWith('-') ? -1 : 1;
  const unsigned = /^[+-]/.test(text) ? text.slice(1) : text;
  if (unsigned === '0') return 0;
  if (unsigned === '') return null;
  let totalNs = 0;
  part.lastIndex = 0;
  while (part.lastIndex < unsigned.length) {
    const match = part.exec(unsigned);
    if (match === null) return null;
    totalNs += Number(match[1]) * (unitNs[match[2] ?? ''] ?? 0);
  }
  if (totalNs >= durationNsMax) return null;
  return totalNs === 0 ? 0 : (sign * totalNs) / 1e6;
}

const steps: readonly (readonly [unit: string, ms: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/**
 * Writes milliseconds as a short Go duration that {@link parseGoDuration} reads back: `5400000` is `1h30m`,
 * `0` is `0s`.
 */
export function formatGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  let rest = Math.abs(durationMs);
  let written = durationMs < 0 ? '-' : '';
  for (const [unit, ms] of steps) {
    const count = unit === 'ms' ? rest : Math.floor(rest / ms);
    if (count === 0) continue;
    written += `${plainDecimal(count)}${unit}`;
    rest -= count * ms;
  }
  return written;
}

/** A number without an exponent, which Go's durations do not know. */
function plainDecimal(value: number): string {
  const short = String(value);
  return short.includes('e') ? value.toFixed(12).replace(/\.?0+$/, '') : short;
}
