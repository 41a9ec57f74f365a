/** What the project set out to reach, compared with the rows of a run. Nothing here fails a run: the reader judges. */
import { digits } from './digits.ts';
import type { Row } from './results.ts';
import { WORKS } from './scenarios/background.ts';
import { WITH_ACCESS } from './subjects/access.ts';

export interface Verdict {
  goal: string;
  measured: string;
  met: boolean;
}

/** A judge looks into the rows and gives its verdict, or null when the rows that it needs were not run. */
type Judge = (find: Find) => Verdict | null;
type Find = (scenario: string, caseName: string, subject: string) => Row | undefined;

/** How ours is called in the rows, without fsync (equal to the reference) and with. */
export const OURS = 'zot';
export const OURS_DURABLE = 'zot commit=true';
const THEIRS = 'docker-registry';
const MIB = 1024 * 1024;

interface Bound {
  goal: string;
  value: number | null | undefined;
  atLeast?: number;
  atMost?: number;
  measured: string;
}

/** All goals of which this run has the rows. */
export function judge(rows: Row[]): Verdict[] {
  const find: Find = (scenario, caseName, subject) =>
    rows.find((row) => row.scenario === scenario && row.case === caseName && row.subject === subject);
  return JUDGES.map((one) => one(find)).filter((verdict) => verdict !== null);
}

function bounded({ goal, value, atLeast, atMost, measured }: Bound): Verdict | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return { goal, measured, met: value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity) };
}

function requestsPerCpu(scenario: string, caseName: string): Judge {
  return (find) => {
    const ours = find(scenario, caseName, OURS);
    const theirs = find(scenario, caseName, THEIRS);
    const ratio = quotient(theirs?.cpuMsPerOp, ours?.cpuMsPerOp);
    const of = (row: Row | undefined): string => digits(row?.cpuMsPerOp ?? null);
    const measured = `${digits(ratio)} times (${of(ours)} against ${of(theirs)} ms)`;
    return bounded({
      goal: `${scenario}, ${caseName}: at least 10 times the requests per CPU second`,
      value: ratio,
      atLeast: 10,
      measured,
    });
  };
}

function rate(scenario: string, caseName: string, atLeast: number, unit: 'MB/s' | 'ops/s'): Judge {
  return (find) => {
    const ours = find(scenario, caseName, OURS);
    const theirs = find(scenario, caseName, THEIRS);
    const of = (row: Row | undefined): number | null =>
      (unit === 'MB/s' ? row?.mbPerSecond : row?.opsPerSecond) ?? null;
    const durable = of(find(scenario, caseName, OURS_DURABLE));
    const beside = durable === null ? '' : `; with fsync ${digits(durable)}`;
    const rates = `${digits(of(ours))} against ${digits(of(theirs))} ${unit}${beside}`;
    const measured = `${digits(ours?.rateRatio ?? null)} times (${rates})`;
    return bounded({
      goal: `${scenario}, ${caseName}: at least ${atLeast} times the ${unit}`,
      value: ours?.rateRatio,
      atLeast,
      measured,
    });
  };
}

function cpu(scenario: string, caseName: string, atMost: number, aim = ''): Judge {
  return (find) => {
    const ours = find(scenario, caseName, OURS);
    const theirs = find(scenario, caseName, THEIRS);
    const perGb = ours?.cpuSecondsPerGb != null;
    const of = (row: Row | undefined): string =>
      digits((perGb ? row?.cpuSecondsPerGb : row?.cpuMsPerOp) ?? null);
    const costs = `${of(ours)} against ${of(theirs)} ${perGb ? 's/GB' : 'ms/op'}`;
    const measured = `${digits(ours?.cpuRatio ?? null)} times (${costs})`;
    const goal = `${scenario}, ${caseName}: at most ${atMost} times the CPU ${perGb ? 'per GB' : 'per push'}${aim}`;
    return bounded({ goal, value: ours?.cpuRatio, atMost, measured });
  };
}

function accessCost(caseName: string): Judge {
  return (find) => {
    const open = find('manifest-get-access', caseName, OURS);
    const guarded = find('manifest-get-access', caseName, `${OURS} ${WITH_ACCESS}`);
    const ratio = quotient(guarded?.cpuMsPerOp, open?.cpuMsPerOp);
    const costs = `${digits(guarded?.cpuMsPerOp ?? null)} against ${digits(open?.cpuMsPerOp ?? null)} ms`;
    const goal = `manifest-get-access, ${caseName}: at most 1.3 times the CPU of a registry without access control`;
    return bounded({ goal, value: ratio, atMost: 1.3, measured: `${digits(ratio)} times (${costs})` });
  };
}

function undisturbed(from: string): Judge {
  return (find) => {
    const subject = `${OURS} ${WITH_ACCESS}`;
    const quiet = find('failing-sign-ins', 'quiet', subject);
    const loud = find('failing-sign-ins', `200 guesses a second from ${from}`, subject);
    const ratio = quotient(loud?.p99Ms, quiet?.p99Ms);
    const times = `${digits(loud?.p99Ms ?? null)} against ${digits(quiet?.p99Ms ?? null)} ms`;
    const goal = `failing-sign-ins, from ${from}: p99 of signed-in pulls at most 3 times the quiet one`;
    return bounded({ goal, value: ratio, atMost: 3, measured: `${digits(ratio)} times (${times})` });
  };
}

function timeRatio(
  goal: string,
  cases: [slow: string, fast: string],
  scenario: string,
  atMost: number,
): Judge {
  return (find) => {
    const [slow, fast] = cases.map((name) => find(scenario, name, OURS));
    const ratio = quotient(slow?.medianMs, fast?.medianMs);
    const cpuRatio = quotient(slow?.cpuMsPerOp, fast?.cpuMsPerOp);
    const measured = `${digits(ratio)} times the median, ${digits(cpuRatio)} times the CPU`;
    return bounded({ goal, value: ratio, atMost, measured });
  };
}

function groupCommit(kind: 'images' | 'manifests', subject: string): Judge {
  const prefix = kind === 'images' ? '' : 'manifests, ';
  return (find) => {
    const large = find('push-many-tags', `${prefix}64 writers, 100000 tags`, subject);
    const small = find('push-many-tags', `${prefix}64 writers, small repositories`, subject);
    const ratio = quotient(large?.opsPerSecond, small?.opsPerSecond);
    const which = `push-many-tags, ${kind}, ${subject}`;
    const goal = `${which}: 64 writers at 100000 tags at least a third of the rate into small ones`;
    const written = digits(quotient(large?.writtenBytesPerOp, 1024));
    const rates = `${digits(large?.opsPerSecond ?? null)} against ${digits(small?.opsPerSecond ?? null)} ops/s`;
    return bounded({
      goal,
      value: ratio,
      atLeast: 1 / 3,
      measured: `${digits(ratio)} (${rates}; ${written} KiB written per push)`,
    });
  };
}

function singlePush(subject: string): Judge {
  return (find) => {
    const row = find('push-many-tags', '1 writer, 100000 tags', subject);
    const written = digits(quotient(row?.writtenBytesPerOp, 1024));
    const times = `median ${digits(row?.medianMs ?? null)} ms, p99 ${digits(row?.p99Ms ?? null)} ms`;
    const measured = `${times}, ${written} KiB written per push`;
    const goal = `push-many-tags, ${subject}: a single push at 100000 tags within 150 ms (p99)`;
    return bounded({ goal, value: row?.p99Ms, atMost: 150, measured });
  };
}

function start(scenario: string): Judge {
  return (find) => {
    const row = find(scenario, 'warm', OURS);
    const cold = find(scenario, 'cold', OURS);
    const measured = `${digits(row?.medianMs ?? null)} ms, cold ${digits(cold?.medianMs ?? null)} ms`;
    return bounded({
      goal: `${scenario}, warm: first answer within 500 ms`,
      value: row?.medianMs,
      atMost: 500,
      measured,
    });
  };
}

function besideWork(work: string): Judge {
  return (find) => {
    const quiet = find('pulls-beside', `${work}: quiet`, OURS);
    const beside = find('pulls-beside', `${work}: beside it`, OURS);
    const ratio = quotient(beside?.p99Ms, quiet?.p99Ms);
    const times = `${digits(beside?.p99Ms ?? null)} against ${digits(quiet?.p99Ms ?? null)} ms`;
    const goal = `pulls-beside, ${work}: p99 of pulls at most 1.5 times the quiet one`;
    return bounded({ goal, value: ratio, atMost: 1.5, measured: `${digits(ratio)} times (${times})` });
  };
}

function garbageCost(): Judge {
  return (find) => {
    const many = find('collect-dead', '1000 blobs in the store of many', OURS);
    const few = find('collect-dead', '1000 blobs in a store of few', OURS);
    const ratio = quotient(many?.cpuMsPerOp, few?.cpuMsPerOp);
    const costs = `${digits(many?.cpuMsPerOp ?? null)} against ${digits(few?.cpuMsPerOp ?? null)} ms of CPU each`;
    const goal = 'collect-dead: 1000 dead blobs cost at most 1.5 times as much among very many as among few';
    return bounded({ goal, value: ratio, atMost: 1.5, measured: `${digits(ratio)} times (${costs})` });
  };
}

function dedupedPush(size: string, subject: string): Judge {
  return (find) => {
    const fresh = find('deduped-push', `new, ${size}`, subject);
    const again = find('deduped-push', `stored already, ${size}`, subject);
    const ratio = quotient(again?.cpuMsPerOp, fresh?.cpuMsPerOp);
    const rates = `${digits(again?.opsPerSecond ?? null)} against ${digits(fresh?.opsPerSecond ?? null)} ops/s`;
    const goal = `deduped-push, ${size}, ${subject}: at most 1.1 times the CPU of a plain push`;
    return bounded({ goal, value: ratio, atMost: 1.1, measured: `${digits(ratio)} times (${rates})` });
  };
}

function crowdStart(): Judge {
  return (find) => {
    const row = find('start-crowd', 'warm', OURS);
    const cold = find('start-crowd', 'cold', OURS);
    const measured = `${digits(row?.medianMs ?? null)} ms, cold ${digits(cold?.medianMs ?? null)} ms`;
    const goal = 'start-crowd, warm: first answer within 2000 ms';
    return bounded({ goal, value: row?.medianMs, atMost: 2000, measured });
  };
}

function passMemory(caseName: string): Judge {
  return (find) => {
    const row = find('dedupe-pass', caseName, OURS);
    const growth = quotient(row?.growthBytes, MIB);
    const measured = `${digits(growth)} MiB, ${digits(row?.opsPerSecond ?? null)} a second`;
    const goal = `dedupe-pass, ${caseName}: memory grows by at most 64 MiB`;
    return bounded({ goal, value: growth, atMost: 64, measured });
  };
}

function flatMemory(caseName: string, subject: string): Judge {
  return (find) => {
    const row = find('huge-blob', caseName, subject);
    const growth = quotient(row?.growthBytes, MIB);
    const measured = `${digits(growth)} MiB, peak ${digits(quotient(row?.peakRssBytes, MIB))} MiB`;
    return bounded({
      goal: `huge-blob, ${caseName}, ${subject}: memory grows by at most 64 MiB`,
      value: growth,
      atMost: 64,
      measured,
    });
  };
}

function quotient(a: number | null | undefined, b: number | null | undefined): number | null {
  return a === null || a === undefined || b === null || b === undefined || b === 0 ? null : a / b;
}

const BLOB_PUSH_CASES: [scenario: string, caseName: string][] = [
  ['blob-push-4k', 'PATCH, 8 clients'],
  ['blob-push-1m', 'PATCH, 8 clients'],
  ['blob-push-64m', 'PATCH, 1 client'],
  ['blob-push-64m', 'PATCH, 4 clients'],
  ['blob-push-64m', 'PUT, 4 clients'],
];
const TAGS = 'manifest-get-many-tags';

const JUDGES: Judge[] = [
  requestsPerCpu('manifest-get', 'by tag, 8 clients'),
  requestsPerCpu('manifest-get', 'by digest, 8 clients'),
  accessCost('by tag, 8 clients'),
  accessCost('by digest, 8 clients'),
  undisturbed('one address'),
  undisturbed('200 addresses'),
  ...['1 client', '32 clients'].flatMap((clients) => [
    rate('blob-get-64m', clients, 1, 'MB/s'),
    cpu('blob-get-64m', clients, 1.1, ' (aim: 0.8)'),
  ]),
  ...BLOB_PUSH_CASES.flatMap(([scenario, name]) => [
    rate(scenario, name, 2, 'MB/s'),
    cpu(scenario, name, 0.5),
  ]),
  rate('small-image-push', '8 clients', 2, 'ops/s'),
  start('start-repositories-10000'),
  timeRatio(
    `${TAGS}: at 100000 tags at most 1.2 times the time at 1 tag`,
    ['100000 tags', '1 tags'],
    TAGS,
    1.2,
  ),
  ...[OURS, OURS_DURABLE].flatMap((subject) => [
    groupCommit('images', subject),
    groupCommit('manifests', subject),
    singlePush(subject),
    flatMemory('push', subject),
  ]),
  flatMemory('pull', OURS),
  crowdStart(),
  ...WORKS.map(({ name }) => besideWork(name)),
  garbageCost(),
  passMemory('nothing left to link'),
  ...['4 KiB', '1 MiB'].flatMap((size) => [OURS, OURS_DURABLE].map((subject) => dedupedPush(size, subject))),
];
