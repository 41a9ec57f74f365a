import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rootFolder } from './paths.ts';

/** The parts of this project's package.json that the tools read. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly keywords?: readonly string[];
  readonly imports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

export function readPackageJson(): PackageJson {
  return JSON.parse(readFileSync(`${rootFolder}package.json`, 'utf8')) as PackageJson;
}

/** The commit, marked when the working tree differs from it; `unknown` outside a checkout. */
export function readCommit(): string {
  try {
    const args = ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'];
    return execFileSync('git', args, {
      cwd: rootFolder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    process.stderr.write('the commit is not known: this is no git checkout\n');
    return 'unknown';
  }
}
