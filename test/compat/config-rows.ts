import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ConfigError, configFromObject, type ConfigProblem } from '#config';

/** Pieces of configurations, each on top of a sound one, and rows of a table about them. */

export type Part = Readonly<Record<string, unknown>>;

export const storage = (part: Part): Part => ({ storage: { rootDirectory: '/srv/one', ...part } });
export const http = (part: Part): Part => ({ storage: { rootDirectory: '/srv/one' }, http: part });
export const auth = (part: Part): Part => http({ auth: part });
export const extensions = (part: Part): Part => ({
  storage: { rootDirectory: '/srv/one' },
  extensions: part,
});

/** One registry to copy from. */
export const registry = (part: Part): Part =>
  extensions({ sync: { registries: [{ urls: ['https://a.example'], onDemand: true, ...part }] } });

/** A registry whose credentials come from the helper "oauth2". */
export const oauth2 = (part: Part): Part =>
  registry({
    credentialHelper: 'oauth2',
    oauth2CredentialHelper: { tokenURL: 'https://t', assertionFile: 'f', ...part },
  });

export const s3 = { name: 's3', bucket: 'b', region: 'us-east-1' };
/** The keys of a store that is kept in S3. */
export const remote = { storageDriver: s3, dedupe: false };
export const tls = { cert: 'c', key: 'k' };
export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** What is said about a configuration: the place, and how the message reads. */
export type Row = readonly [title: string, object: unknown, path: string, message: RegExp];

/** One test for each row: the configuration is refused with this problem among others. */
export function itRefuses(rows: readonly Row[]): void {
  for (const [title, object, path, message] of rows) {
    it(title, () => assertFound(problemsOf(object), path, message));
  }
}

/** One test for each row: the configuration is accepted with this warning among others. */
export function itWarns(rows: readonly Row[]): void {
  for (const [title, object, path, message] of rows) {
    it(title, () => assertFound(configFromObject(object).warnings, path, message));
  }
}

function problemsOf(object: unknown): readonly ConfigProblem[] {
  try {
    configFromObject(object);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
}

function assertFound(problems: readonly ConfigProblem[], path: string, message: RegExp): void {
  const found = problems.find((problem) => problem.path === path && message.test(problem.message));
  assert.ok(found, `expected ${path} ${String(message)}, got ${JSON.stringify(problems, null, 2)}`);
}
