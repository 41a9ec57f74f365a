/** `npm run bench`: see `--help`. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { HELP, parseArguments, type Arguments, type SubjectName } from './arguments.ts';
import { runLoad } from './bench.ts';
import type { Bench } from './context.ts';
import { judge, OURS, OURS_DURABLE } from './goals.ts';
import { LoadGenerator } from './load/remote.ts';
import { hasWrk } from './load/wrk.ts';
import { describeProfiles } from './profile.ts';
import { goalTable, LEGEND, markdownGoals, markdownTable, table } from './report.ts';
import type { Row } from './results.ts';
import { allScenarios, selectScenarios } from './scenarios/catalog.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { runStart } from './start.ts';
import { distributionSubject } from './subjects/distribution.ts';
import { REFERENCE, type Subject } from './subjects/subject.ts';
import { urlSubject } from './subjects/url.ts';
import { zotSubject } from './subjects/zot.ts';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main(process.argv.slice(2));

async function main(argv: string[]): Promise<number> {
  try {
    const given = parseArguments(argv);
    const scenarios = selectScenarios(allScenarios(given), given.scenarios);
    if (given.help) console.log(HELP);
    else if (given.list) console.log(listing(scenarios));
    else return await run(given, scenarios);
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof Error && error.cause !== undefined) console.error(error.cause);
    return 1;
  }
}

/** Runs the scenarios one after another; one that breaks does not stop the others, but the exit code tells. */
async function run(given: Arguments, scenarios: Scenario[]): Promise<number> {
  if (given.wrk && !hasWrk()) throw new Error('--client wrk: wrk is not installed');
  const bench = prepareBench(given);
  console.log(`${introduction(given, bench)}\n\n${LEGEND}`);
  const rows: Row[] = [];
  const broken: string[] = [];
  try {
    for (const scenario of scenarios) {
      console.log(`\n${scenario.name}: ${scenario.title}`);
      try {
        const found = await runOne(scenario, bench);
        rows.push(...found);
        console.log(table(found));
      } catch (error) {
        broken.push(scenario.name);
        console.log(`  BROKEN: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    bench.generator.close();
  }
  conclude(given, { scenarios, rows, broken });
  return broken.length === 0 ? 0 : 1;
}

function runOne(scenario: Scenario, bench: Bench): Promise<Row[]> {
  if (scenario.kind === 'own') return scenario.run(bench);
  return scenario.kind === 'start' ? runStart(scenario, bench) : runLoad(scenario, bench);
}

interface Findings {
  scenarios: Scenario[];
  rows: Row[];
  broken: string[];
}

function conclude(given: Arguments, { scenarios, rows, broken }: Findings): void {
  const verdicts = judge(rows);
  console.log(`\nGoals (as ratios to ${REFERENCE} in this run, at equal durability)\n${goalTable(verdicts)}`);
  if (broken.length > 0) console.log(`Scenarios that could not be run: ${broken.join(', ')}`);
  if (given.jsonPath !== null) {
    const machine = {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      memoryBytes: totalmem(),
      kernel: release(),
    };
    const report = {
      at: new Date().toISOString(),
      node: process.version,
      machine,
      given,
      rows,
      verdicts,
      broken,
    };
    writeFileSync(given.jsonPath, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (given.markdownPath !== null) writeFileSync(given.markdownPath, markdown(scenarios, rows));
  if (given.profileFolder !== null) console.log(`\nCPU profiles\n${describeProfiles(given.profileFolder)}`);
}

function markdown(scenarios: Scenario[], rows: Row[]): string {
  const sections = scenarios.flatMap(({ name, title }) => {
    const own = rows.filter(({ scenario }) => scenario === name);
    return own.length === 0 ? [] : [`### ${name}\n\n${title}\n\n${markdownTable(own)}`];
  });
  return `${[...sections, `### Goals\n\n${markdownGoals(judge(rows))}`].join('\n\n')}\n`;
}

function prepareBench(given: Arguments): Bench {
  const workFolder =
    given.workFolder === null
      ? mkdtempSync(join(tmpdir(), 'zot-bench-'))
      : resolve(given.workFolder, 'zot-bench');
  mkdirSync(workFolder, { recursive: true });
  process.once('exit', () => {
    if (!given.keep) rmSync(workFolder, { recursive: true, force: true, maxRetries: 5 });
  });
  if (given.profileFolder !== null) mkdirSync(given.profileFolder, { recursive: true });
  const { rounds, durationMs, quick, wrk } = given;
  const subjects = subjectsOf(given);
  return {
    subjects,
    workFolder,
    rounds,
    durationMs,
    quick,
    wrk,
    crowd: given.crowd,
    generator: new LoadGenerator(),
    say: console.log,
  };
}

function subjectsOf(given: Arguments): Subject[] {
  const seen = new Map<SubjectName, number>();
  const own = given.subjects.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return subjectOf(name, count === 1 ? '' : ` #${count}`, given);
  });
  return [...own, ...given.against.map(({ url, pid }) => urlSubject(url, pid))];
}

function subjectOf(name: SubjectName, suffix: string, given: Arguments): Subject {
  if (name === 'docker-registry')
    return distributionSubject({ label: `${REFERENCE}${suffix}`, log: given.log });
  const commit = name === 'zot-commit';
  const label = `${commit ? OURS_DURABLE : OURS}${suffix}`;
  const profileFolder = given.profileFolder === null ? null : resolve(given.profileFolder);
  const { log, zot: executable, workers, crowd } = given;
  return zotSubject({ label, commit, log, executable, workers, profileFolder, crowd });
}

function introduction(given: Arguments, bench: Bench): string {
  const logging =
    given.log === 'null' ? 'all log to /dev/null' : 'all log one JSON line per request to a file';
  const turns = `${given.rounds} counted turns of ${given.durationMs / 1000} s after one for warming up`;
  return [
    `Registries: ${bench.subjects.map(({ label }) => label).join(', ')}`,
    `  ours: ${given.zot ?? 'from source'}, Node ${process.version}, ${given.workers ?? 'default'} workers; ${logging}`,
    `  docker-registry never calls fsync: compare it with "${OURS}" (storage.commit false);`,
    `  "${OURS_DURABLE}" beside it is the default of ours and shows the price of durability`,
    `Machine: ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), load now ${loadavg()[0]?.toFixed(2)}`,
    `Turns: A B A B, ${turns}`,
    `Client: ${given.wrk ? 'wrk for GET, else ' : ''}built in, in a process of its own, no TLS`,
    `Work folder: ${bench.workFolder}`,
  ].join('\n');
}

function listing(scenarios: Scenario[]): string {
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  return scenarios.map(({ name, title }) => `${name.padEnd(width)}  ${title}`).join('\n');
}
