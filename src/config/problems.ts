/** The way to a place in the configuration: keys of objects and indexes of lists. */
export type Path = readonly (string | number)[];

/** One thing that is wrong, and how to mend it. */
export interface ConfigProblem {
  /** The path as the user wrote it, such as `http.auth.htpasswd.path`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  /** The line in the file, counted from 1, where the format tells it. */
  readonly line?: number;
}

/** Something that works, but perhaps not as the user believes. */
export type ConfigWarning = ConfigProblem;

/** The configuration cannot be used. Lists everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];

  constructor(
    problems: readonly ConfigProblem[],
    warnings: readonly ConfigWarning[] = [],
    options?: ErrorOptions,
  ) {
    super(problems.map((problem) => `invalid server config: ${formatProblem(problem)}`).join('\n'), options);
    this.problems = problems;
    this.warnings = warnings;
  }
}

/** A problem as one line of text: `invalid port 70000 (at http.port, line 3)`. */
export function formatProblem({ path, message, line }: ConfigProblem): string {
  const place = [path, line === undefined ? '' : `line ${line}`].filter((part) => part !== '').join(', ');
  return place === '' ? message : `${message} (at ${place})`;
}

const shownLengthMax = 100;

/** What the user wrote, short enough for a message. */
export function shorten(written: string): string {
  return written.length <= shownLengthMax ? written : `${written.slice(0, shownLengthMax)}...`;
}

const plainKey = /^[A-Za-z_][\w-]*$/;

/** A path as a user reads it: `storage.subPaths["/a"].gc`, `extensions.sync.registries[0].urls`. */
export function formatPath(path: Path): string {
  let written = '';
  for (const step of path) {
    if (typeof step === 'number') written += `[${step}]`;
    else if (plainKey.test(step) && step.length <= shownLengthMax)
      written += written === '' ? step : `.${step}`;
    else written += `[${JSON.stringify(shorten(step))}]`;
  }
  return written;
}

interface Finding {
  readonly path: Path;
  readonly message: string;
}

type Describe = (path: Path, message: string) => ConfigProblem;

/** More findings than this are counted, and not listed: a file of nothing but faults must not take all memory. */
const listedMax = 100;

/** Collects what is found while a configuration is read; the places are turned into the user's words at the end. */
export class Report {
  readonly #errors = new Findings();
  readonly #warnings = new Findings();
  /** The errors of single values: what depends on those values cannot be judged. */
  #unreadable: readonly Finding[] = [];

  error(path: Path, message: string): void {
    if (!this.#isUnreadable(path)) this.#errors.add(path, message);
  }

  warn(path: Path, message: string): void {
    if (!this.#isUnreadable(path)) this.#warnings.add(path, message);
  }

  /** True when further errors are only counted: their messages need not be made. */
  get isFull(): boolean {
    return this.#errors.listed.length >= listedMax;
  }

  /** True when an error at, above or below this place is known. */
  covers(path: Path): boolean {
    return this.#errors.listed.some((finding) => isSameBranch(finding.path, path));
  }

  /** Ends the reading of single values: what is reported from now on about places with errors is left out. */
  endReading(): void {
    this.#unreadable = [...this.#errors.listed];
  }

  errors(describe: Describe): ConfigProblem[] {
    return this.#errors.describe(describe);
  }

  warnings(describe: Describe): ConfigWarning[] {
    return this.#warnings.describe(describe);
  }

  #isUnreadable(path: Path): boolean {
    return this.#unreadable.some((finding) => isSameBranch(finding.path, path));
  }
}

class Findings {
  readonly listed: Finding[] = [];
  #count = 0;

  add(path: Path, message: string): void {
    this.#count += 1;
    if (this.listed.length < listedMax) this.listed.push({ path, message });
  }

  describe(describe: Describe): ConfigProblem[] {
    const problems = this.listed.map(({ path, message }) => describe(path, message));
    const rest = this.#count - problems.length;
    return rest === 0 ? problems : [...problems, { path: '', message: `and ${rest} more` }];
  }
}

/** Whether one place is the other, or holds it. */
function isSameBranch(a: Path, b: Path): boolean {
  return (a.length < b.length ? a : b).every((step, index) => step === a[index] && step === b[index]);
}
