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

const plainKey = /^[A-Za-z_][\w-]*$/;

/** A path as a user reads it: `storage.subPaths["/a"].gc`, `extensions.sync.registries[0].urls`. */
export function formatPath(path: Path): string {
  let written = '';
  for (const step of path) {
    if (typeof step === 'number') written += `[${step}]`;
    else if (plainKey.test(step)) written += written === '' ? step : `.${step}`;
    else written += `[${JSON.stringify(step)}]`;
  }
  return written;
}

interface Finding {
  readonly path: Path;
  readonly message: string;
}

type Describe = (path: Path, message: string) => ConfigProblem;

/**
 * Collects what is found while a configuration is read; the places are turned into the user's words at the
 * end.
 */
export class Report {
  readonly #errors: Finding[] = [];
  readonly #warnings: Finding[] = [];
  /** The errors of single values: what depends on those values cannot be judged. */
  #unreadable: readonly Finding[] = [];

  error(path: Path, message: string): void {
    if (!this.#unreadable.some((finding) => isSameBranch(finding.path, path)))
      this.#errors.push({ path, message });
  }

  warn(path: Path, message: string): void {
    if (!this.#unreadable.some((finding) => isSameBranch(finding.path, path)))
      this.#warnings.push({ path, message });
  }

  /** True when an error at, above or below this place is known. */
  covers(path: Path): boolean {
    return this.#errors.some((finding) => isSameBranch(finding.path, path));
  }

  /** Ends the reading of single values: what is reported from now on about places with errors is left out. */
  endReading(): void {
    this.#unreadable = [...this.#errors];
  }

  errors(describe: Describe): ConfigProblem[] {
    return this.#errors.map(({ path, message }) => describe(path, message));
  }

  warnings(describe: Describe): ConfigWarning[] {
    return this.#warnings.map(({ path, message }) => describe(path, message));
  }
}

/** Whether one place is the other, or holds it. */
function isSameBranch(a: Path, b: Path): boolean {
  return (a.length < b.length ? a : b).every((step, index) => step === a[index] && step === b[index]);
}
