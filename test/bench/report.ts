/** Tables for people. */
import type { Row } from './results.ts';
import { digits, NOTHING } from './digits.ts';
import type { Verdict } from './goals.ts';

interface Column {
  title: string;
  left?: boolean;
  text(row: Row): string;
}

const MIB = 1024 * 1024;
/** A generator that used so much of a core was probably the limit. */
const CLIENT_BOUND = 0.85;

const COLUMNS: Column[] = [
  { title: 'case', left: true, text: (row) => row.case },
  { title: 'registry', left: true, text: (row) => row.subject },
  { title: 'median ms', text: (row) => digits(row.medianMs) },
  { title: 'p99 ms', text: (row) => digits(row.p99Ms) },
  { title: 'ops/s', text: (row) => digits(row.opsPerSecond) },
  { title: 'MB/s', text: (row) => (row.mbPerSecond < 0.05 ? NOTHING : digits(row.mbPerSecond)) },
  { title: 'CPU ms/op', text: (row) => digits(row.cpuMsPerOp) },
  { title: 'CPU s/GB', text: (row) => digits(row.cpuSecondsPerGb) },
  { title: 'KiB written/op', text: (row) => digits(scaled(row.writtenBytesPerOp, 1024)) },
  { title: 'peak MiB', text: (row) => digits(scaled(row.peakRssBytes, MIB)) },
  { title: 'private', text: (row) => digits(scaled(row.privateBytes, MIB)) },
  { title: 'growth', text: (row) => digits(scaled(row.growthBytes, MIB)) },
  { title: 'client', text: clientText },
  { title: 'rate x', text: (row) => digits(row.rateRatio) },
  { title: 'CPU x', text: (row) => digits(row.cpuRatio) },
];

export const LEGEND = `How to read the tables
  op: a request, or what the scenario's title says. MB = 10^6 bytes, GB = 10^9 bytes, KiB and MiB = powers of 1024.
  CPU ms/op, CPU s/GB: user and system time of the registry's whole process tree, from /proc.
  KiB written/op: bytes that the registry caused to be written to the disk (write_bytes of /proc), also later ones.
  peak MiB: sum of the peak resident memory of its processes during the turns (shared pages count in each);
  private: their anonymous memory after the turns, in MiB, which is not shared;
  growth: peak less what was resident before the turn, in MiB.
  client: share of a core that the load generator used; ! = it was probably the limit, so trust only the CPU columns.
  rate x, CPU x: this row's ops/s and CPU per op divided by those of docker-registry in the same rounds.
  Rates and costs are medians over the turns, latencies are pooled over them; the load is a closed loop.`;

/** The rows of one scenario as an aligned table. */
export function table(rows: Row[]): string {
  const lines = [
    COLUMNS.map((column) => column.title),
    ...rows.map((row) => COLUMNS.map((column) => column.text(row))),
  ];
  const widths = COLUMNS.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  const text = lines.map((line) =>
    line
      .map((cell, index) => pad(cell, index, widths))
      .join('  ')
      .trimEnd(),
  );
  return [...text, ...failureLines(rows)].join('\n');
}

/** The same as a table of Markdown, for documentation. */
export function markdownTable(rows: Row[]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(COLUMNS.map((column) => column.title)),
    line(COLUMNS.map((column) => (column.left === true ? '---' : '--:'))),
    ...rows.map((row) => line(COLUMNS.map((column) => column.text(row)))),
  ].join('\n');
}

/** The goals as a list of Markdown. */
export function markdownGoals(verdicts: Verdict[]): string {
  const lines = verdicts.map(
    ({ met, goal, measured }) => `| ${met ? 'met' : '**missed**'} | ${goal} | ${measured} |`,
  );
  return ['| | Goal | Measured |', '|---|---|---|', ...lines].join('\n');
}

/** The goals with what was measured. */
export function goalTable(verdicts: Verdict[]): string {
  if (verdicts.length === 0) return 'No goal belongs to what was run.';
  const lines = verdicts.map(
    ({ met, goal, measured }) => `${met ? 'met   ' : 'MISSED'}  ${goal}\n          measured: ${measured}`,
  );
  const missed = verdicts.filter(({ met }) => !met).length;
  return [...lines, `${verdicts.length - missed} of ${verdicts.length} goals met.`].join('\n');
}

function failureLines(rows: Row[]): string[] {
  return rows
    .filter((row) => row.failures > 0)
    .map(
      (row) =>
        `  FAILED ${row.failures} times: ${row.case}, ${row.subject}: ${row.firstFailure ?? 'no reason'}`,
    );
}

function clientText(row: Row): string {
  if (row.clientBusy === null) return NOTHING;
  return `${digits(row.clientBusy)}${row.clientBusy > CLIENT_BOUND ? '!' : ''}`;
}

function pad(cell: string, index: number, widths: number[]): string {
  const width = widths[index] ?? 0;
  return COLUMNS[index]?.left === true ? cell.padEnd(width) : cell.padStart(width);
}

function scaled(value: number | null, by: number): number | null {
  return value === null ? null : value / by;
}
