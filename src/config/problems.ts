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
    super(problems.map(formatProblem).join('\n'), options);
    this.problems = problems;
    this.warnings = warnings;
  }
}

/** A problem as one line of text: `http.port (line 3): invalid port 70000`. */
export function formatProblem(problem: ConfigProblem): string {
  const line = problem.line === undefined ? '' : `line ${problem.line}`;
  if (problem.path === '') return line === '' ? problem.message : `${line}: ${problem.message}`;
  return `${problem.path}${line === '' ? '' : ` (${line})`}: ${problem.message}`;
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

/** Collects what is found while a configuration is read; the places are turned into the user's words at the end. */
export class Report {
  readonly #errors: { path: Path; message: string }[] = [];
  readonly #warnings: { path: Path; message: string }[] = [];

  error(path: Path, message: string): void {
    this.#errors.push({ path, message });
  }

  /** True when an error at, above or below this place is known: what depends on its value cannot be judged. */
  covers(path: Path): boolean {
    return this.#errors.some((error) => {
      const shorter = error.path.length < path.length ? error.path : path;
      return shorter.every((step, index) => step === error.path[index] && step === path[index]);
    });
  }

  warn(path: Path, message: string): void {
    this.#warnings.push({ path, message });
  }

  errors(describe: (path: Path, message: string) => ConfigProblem): ConfigProblem[] {
    return this.#errors.map(({ path, message }) => describe(path, message));
  }

  warnings(describe: (path: Path, message: string) => ConfigProblem): ConfigWarning[] {
    return this.#warnings.map(({ path, message }) => describe(path, message));
  }
}
