import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootFolder } from './build/paths.ts';

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly optionalDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(rootFolder, 'package.json'), 'utf8')) as Manifest;
const page = readFileSync(join(rootFolder, 'docs/decisions/dependencies.md'), 'utf8');

test('every package has a line in docs/decisions/dependencies.md, and every line a package', () => {
  const named = page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  const used = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  assert.deepEqual(named.sort(), used.sort());
});

test('every line says what the package does, who keeps it and what else was weighed', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  for (const row of rows) {
    const cells = row.split('|').slice(1, -1);
    assert.equal(cells.length, 4, row);
    assert.ok(
      cells.every((cell) => cell.trim() !== ''),
      row,
    );
  }
});

test('the pinned Node is one exact version', () => {
  const versions = new Set(Object.values(manifest.optionalDependencies));
  assert.equal(versions.size, 1);
  assert.match([...versions][0] ?? '', /^\d+\.\d+\.\d+$/);
});
