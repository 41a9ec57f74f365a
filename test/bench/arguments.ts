import { parseArgs } from 'node:util';
import { SMALL_CROWD, TINY_CROWD, type Crowd } from './fixtures/crowd.ts';
import { hasDistribution } from './subjects/distribution.ts';

export const HELP = `npm run bench -- [options]

Measures this registry beside Debian's docker-registry, in turns (A B A B), and says which goals are met.
docker-registry never calls fsync, so ours runs twice where something is written: "zot" with storage.commit false,
which is the equal comparison, and "zot commit=true", which is the default of ours and the price of durability.

Which scenarios
  --list                 names and titles of all scenarios, then stop
  --scenario <name>      only this one; * matches anything; repeatable
  --quick                2 rounds of 0.3 s and less work per turn: does it work at all?
  --rounds <n>           counted turns for each case and registry, after one for warming up (default 3)
  --seconds <s>          length of a turn (default 1); longer turns, less noise
  --huge                 the huge blob is of 10 GB instead of 1; needs 10 GB of disk for each registry
  --crowd <n>            the store of very many tiny blobs has n repositories of 100 blobs each (default: 20,000
                         blobs); 10000 makes a million, needs 5 GB of disk and some minutes to be made and first read

Which registries
  --zot <file>           a built executable (dist/zot) instead of the source
  --workers <n>          http.workers of ours (default: its own, one per core)
  --subject <name>       only these: zot, zot-commit, docker-registry; repeatable. One name given twice shows the
                         noise of the machine: all its ratios should be 1
  --against <url>        a running registry (http) instead of docker-registry; repeatable. It keeps what is
                         pushed to it, below bench/. Scenarios whose stores are made on disk leave it out
  --pid <n>              the process of the --against at the same place, for its CPU and memory; repeatable

How
  --client <node|wrk>    wrk sends the GETs instead of the built-in client (default node)
  --log <file|null>      all servers log each request to a file (default), or all to /dev/null
  --profile <folder>     CPU profiles of ours go there, and a summary is printed
  --work <folder>        where stores are made (default: a new one in the folder for temporary files); on a real disk,
                         not a tmpfs, if durable writes are to mean anything
  --keep                 leave the work folder in place
  --json <file>          all rows, goals and settings as JSON
  --markdown <file>      the tables and goals as Markdown
  --help                 this text

Examples
  npm run bench -- --quick
  npm run bench -- --scenario 'manifest-*' --rounds 5 --client wrk
  npm run bench -- --against http://127.0.0.1:8080 --pid 4711 --scenario 'blob-*'`;

const SUBJECTS = ['zot', 'zot-commit', 'docker-registry'] as const;
export type SubjectName = (typeof SUBJECTS)[number];

export interface Arguments {
  list: boolean;
  help: boolean;
  scenarios: string[];
  quick: boolean;
  rounds: number;
  durationMs: number;
  hugeBytes: number;
  crowd: Crowd;
  zot: string | null;
  workers: number | null;
  subjects: SubjectName[];
  against: { url: URL; pid: number | null }[];
  wrk: boolean;
  log: 'file' | 'null';
  profileFolder: string | null;
  workFolder: string | null;
  keep: boolean;
  jsonPath: string | null;
  markdownPath: string | null;
}

const OPTIONS = {
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  scenario: { type: 'string', multiple: true },
  quick: { type: 'boolean' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  huge: { type: 'boolean' },
  crowd: { type: 'string' },
  zot: { type: 'string' },
  workers: { type: 'string' },
  subject: { type: 'string', multiple: true },
  against: { type: 'string', multiple: true },
  pid: { type: 'string', multiple: true },
  client: { type: 'string' },
  log: { type: 'string' },
  profile: { type: 'string' },
  work: { type: 'string' },
  keep: { type: 'boolean' },
  json: { type: 'string' },
  markdown: { type: 'string' },
} as const;

/** Reads the command line. Throws an Error whose message says what is wrong with which option. */
export function parseArguments(argv: string[]): Arguments {
  const { values } = parseArgs({ args: argv, options: OPTIONS, strict: true, allowPositionals: false });
  const against = registriesOf(values.against ?? [], values.pid ?? []);
  return {
    list: values.list === true,
    help: values.help === true,
    scenarios: values.scenario ?? [],
    quick: values.quick === true,
    ...lengthsOf(values),
    crowd: crowdOf(values),
    zot: values.zot ?? null,
    workers: optional(values.workers, (text) => numberOf('--workers', text, { min: 1 })),
    subjects: values.subject?.map(subjectOf) ?? defaultSubjects(against.length > 0),
    against,
    wrk: choice('--client', values.client ?? 'node', ['node', 'wrk']) === 'wrk',
    log: choice('--log', values.log ?? 'file', ['file', 'null']),
    keep: values.keep === true,
    ...pathsOf(values),
  };
}

function crowdOf({ quick, crowd }: { quick?: boolean; crowd?: string }): Crowd {
  const repositories = optional(crowd, (text) => numberOf('--crowd', text, { min: 40 }));
  if (repositories !== null) return { repositories, blobsEach: 100 };
  return quick === true ? TINY_CROWD : SMALL_CROWD;
}

interface PathOptions {
  profile?: string;
  work?: string;
  json?: string;
  markdown?: string;
}

type Paths = Pick<Arguments, 'profileFolder' | 'workFolder' | 'jsonPath' | 'markdownPath'>;

function pathsOf({ profile, work, json, markdown }: PathOptions): Paths {
  return {
    profileFolder: profile ?? null,
    workFolder: work ?? null,
    jsonPath: json ?? null,
    markdownPath: markdown ?? null,
  };
}

interface LengthOptions {
  quick?: boolean;
  huge?: boolean;
  rounds?: string;
  seconds?: string;
}

function lengthsOf({
  quick,
  huge,
  rounds,
  seconds,
}: LengthOptions): Pick<Arguments, 'rounds' | 'durationMs' | 'hugeBytes'> {
  const [roundsDefault, secondsDefault] = quick === true ? [2, 0.3] : [3, 1];
  return {
    rounds: optional(rounds, (text) => numberOf('--rounds', text, { min: 1 })) ?? roundsDefault,
    durationMs:
      (optional(seconds, (text) => numberOf('--seconds', text, { min: 0.05 })) ?? secondsDefault) * 1000,
    hugeBytes: huge === true ? 10e9 : 1e9,
  };
}

function registriesOf(urls: string[], pids: string[]): Arguments['against'] {
  if (pids.length > urls.length) throw new Error('--pid: there are more of them than of --against');
  return urls.map((text, index) => ({
    url: urlOf(text),
    pid: optional(pids[index], (pid) => numberOf('--pid', pid, { min: 1 })),
  }));
}

function optional<T>(text: string | undefined, read: (text: string) => T): T | null {
  return text === undefined ? null : read(text);
}

function defaultSubjects(hasUrls: boolean): SubjectName[] {
  return hasUrls || !hasDistribution() ? ['zot', 'zot-commit'] : ['zot', 'zot-commit', 'docker-registry'];
}

function subjectOf(text: string): SubjectName {
  return choice('--subject', text, SUBJECTS);
}

function choice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((one) => one === text);
  if (found === undefined) throw new Error(`${option} ${text}: must be one of ${choices.join(', ')}`);
  return found;
}

function numberOf(option: string, text: string, { min }: { min: number }): number {
  const value = Number(text);
  if (!(value >= min)) throw new Error(`${option} ${text}: must be a number, at least ${min}`);
  return value;
}

function urlOf(text: string): URL {
  if (!URL.canParse(text)) throw new Error(`--against ${text}: must be a URL such as http://127.0.0.1:8080`);
  return new URL(text);
}
