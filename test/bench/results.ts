/** From turns to rows of a table. */
import type { Outcome } from './load/plan.ts';
import { median, medianOfKnown, quantile } from './statistics.ts';

/** One turn: what the clients saw, and what the server spent meanwhile (null where no process can be looked at). */
export interface TurnResult {
  outcome: Outcome;
  server: {
    cpuSeconds: number;
    writtenBytes: number;
    peakRssBytes: number;
    /** Anonymous memory after the turn. */
    privateBytes: number;
    /** Peak of the turn less what was resident before it. */
    growthBytes: number;
  } | null;
}

/** All turns of one case against one subject. Times in ms, sizes in bytes, MB = 10^6 and GB = 10^9 bytes. */
export interface Row {
  scenario: string;
  case: string;
  subject: string;
  rounds: number;
  ops: number;
  medianMs: number;
  p99Ms: number;
  opsPerSecond: number;
  mbPerSecond: number;
  cpuMsPerOp: number | null;
  cpuSecondsPerGb: number | null;
  writtenBytesPerOp: number | null;
  peakRssBytes: number | null;
  privateBytes: number | null;
  growthBytes: number | null;
  /** Share of one core that the load generator used; near 1 it is the limit and not the server. */
  clientBusy: number | null;
  failures: number;
  firstFailure: string | null;
  /** Against the reference in the same rounds: rate of this over its rate, CPU of this over its CPU per operation. */
  rateRatio: number | null;
  cpuRatio: number | null;
}

/** Below this per operation, figures per byte say nothing. */
const BULK_BYTES = 64 * 1024;

/** Rates and costs are medians over the turns, so that one disturbed turn does not count; latencies are pooled. */
export function rowOf(scenario: string, caseName: string, subject: string, turns: TurnResult[]): Row {
  const latencies = Float64Array.from(turns.flatMap(({ outcome }) => [...outcome.latenciesMs]));
  const perOp = (value: (turn: TurnResult) => number | null): number | null =>
    medianOfKnown(turns.map((turn) => divide(value(turn), turn.outcome.ops)));
  const bulk = turns.every(({ outcome }) => outcome.bytes / outcome.ops >= BULK_BYTES);
  return {
    scenario,
    case: caseName,
    subject,
    rounds: turns.length,
    ops: latencies.length,
    medianMs: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    opsPerSecond: median(turns.map(({ outcome }) => (outcome.ops / outcome.elapsedMs) * 1000)),
    mbPerSecond: median(turns.map(({ outcome }) => outcome.bytes / 1000 / outcome.elapsedMs)),
    cpuMsPerOp: perOp(({ server }) => (server === null ? null : server.cpuSeconds * 1000)),
    cpuSecondsPerGb: bulk
      ? medianOfKnown(turns.map(({ server, outcome }) => divide(server?.cpuSeconds, outcome.bytes / 1e9)))
      : null,
    writtenBytesPerOp: perOp(({ server }) => server?.writtenBytes ?? null),
    peakRssBytes: largest(turns.map(({ server }) => server?.peakRssBytes)),
    privateBytes: largest(turns.map(({ server }) => server?.privateBytes)),
    growthBytes: largest(turns.map(({ server }) => server?.growthBytes)),
    clientBusy: medianOfKnown(
      turns.map(({ outcome }) => divide(outcome.clientCpuSeconds, outcome.elapsedMs / 1000)),
    ),
    failures: turns.reduce((sum, { outcome }) => sum + outcome.failures, 0),
    firstFailure: turns.find(({ outcome }) => outcome.firstFailure !== null)?.outcome.firstFailure ?? null,
    rateRatio: null,
    cpuRatio: null,
  };
}

/** Adds the ratios to the row of the reference, where there is one. */
export function withRatios(rows: Row[], reference: string): Row[] {
  return rows.map((row) => {
    const base = rows.find((other) => other.subject === reference && sameCase(other, row));
    if (base === undefined || base === row) return row;
    return {
      ...row,
      rateRatio: row.opsPerSecond / base.opsPerSecond,
      cpuRatio: divide(row.cpuMsPerOp, base.cpuMsPerOp),
    };
  });
}

export function sameCase(a: Row, b: Row): boolean {
  return a.scenario === b.scenario && a.case === b.case;
}

function divide(value: number | null | undefined, by: number | null): number | null {
  if (value === null || value === undefined || by === null || !(by > 0)) return null;
  return value / by;
}

function largest(values: (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? null : Math.max(...known);
}
