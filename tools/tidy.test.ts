import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tidyRules, type Sample, type TidyRule } from './tidy-rules.ts';
import { rootFolder } from './build/paths.ts';

/** The rules and their test are full of what they refuse. */
const exempt = new Set(['tools/tidy-rules.ts', 'tools/tidy.test.ts']);

const files = globSync(['{src,test,tools,web,examples}/**/*.{ts,tsx,js}', '*.ts'], {
  cwd: rootFolder,
  exclude: ['**/node_modules/**'],
}).filter((path) => !exempt.has(path));

function faultsOf(rule: TidyRule, path: string, text: string): string[] {
  if (!rule.appliesTo(path)) return [];
  return rule
    .find(path, text)
    .map(({ line, words }) => `${path}:${line}: ${rule.name}: "${words}"; ${rule.instead}`);
}

/** A path at which the rule is in force, for samples that do not care. */
function pathFor(rule: TidyRule, sample: Sample): string {
  const paths = ['src/lib/sample.ts', 'src/http/sample.ts', 'src/lib/sample.test.ts'];
  const path = sample.path ?? paths.find((candidate) => rule.appliesTo(candidate));
  assert.ok(path, `the rule "${rule.name}" applies to no file`);
  return path;
}

describe('the tidy rules', () => {
  for (const rule of tidyRules) {
    test(`${rule.name}: refuses and allows its samples`, () => {
      for (const sample of rule.refuses) {
        assert.notDeepEqual(
          faultsOf(rule, pathFor(rule, sample), sample.text),
          [],
          `allowed: ${sample.text}`,
        );
      }
      for (const sample of rule.allows) {
        assert.deepEqual(faultsOf(rule, pathFor(rule, sample), sample.text), []);
      }
    });
  }
});

test('every file of the project is tidy', () => {
  assert.ok(files.length > 20, `only ${files.length} files were found`);
  const faults = files.flatMap((path) => {
    const text = readFileSync(join(rootFolder, path), 'utf8');
    return tidyRules.flatMap((rule) => faultsOf(rule, path, text));
  });
  assert.equal(faults.length, 0, `\n${faults.join('\n')}\n`);
});

/** What the linter must refuse with the project's own configuration: sizes, and the rules that matter most. */
const lintSamples: Readonly<Record<string, string>> = {
  'max-lines': '// a line\n'.repeat(401),
  'max-lines-per-function': `export function long(): void {\n${'  void 0;\n'.repeat(70)}}\n`,
  'max-params': 'export const f = (a: 1, b: 2, c: 3, d: 4, e: 5): unknown => [a, b, c, d, e];\n',
  'max-depth': 'export function f(a: number): void {\n  if (a) { if (a) { if (a) { if (a) f(a); } } }\n}\n',
  complexity: `export const f = (a: unknown): unknown => ${'a || '.repeat(12)}a;\n`,
  'no-explicit-any': 'export const a: any = 1;\n',
  'no-floating-promises': 'export function f(): void {\n  Promise.resolve(1);\n}\n',
  'no-misused-promises': 'export const f = (g: (h: () => void) => void): void => g(async () => {});\n',
  'no-empty': 'export function f(g: () => void): void {\n  try { g(); } catch {}\n}\n',
  'no-console': "console.log('a');\n",
};

test('the linter refuses what it is configured to refuse', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zot-lint-'));
  try {
    for (const name of ['node_modules', 'tools', 'oxlint.config.ts', 'tsconfig.json', 'package.json']) {
      symlinkSync(join(rootFolder, name), join(folder, name));
    }
    for (const [rule, text] of Object.entries(lintSamples))
      writeFileSync(join(folder, `sample-${rule}.ts`), text);
    const oxlint = join(rootFolder, 'node_modules/oxlint/bin/oxlint');
    const samples = Object.keys(lintSamples).map((rule) => `sample-${rule}.ts`);
    const run = spawnSync(process.execPath, [oxlint, '--format', 'unix', ...samples], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
    for (const rule of Object.keys(lintSamples)) {
      const lines = run.stdout.split('\n').filter((line) => line.includes(`sample-${rule}.ts`));
      assert.ok(
        lines.some((line) => line.includes(`(${rule})`)),
        `${rule} is not refused: ${run.stdout}${run.stderr}`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
