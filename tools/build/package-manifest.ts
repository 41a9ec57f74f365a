import type { PackageJson } from './project.ts';

/** What the npm package offers, by the name after `zot-ts`: the source, and the name of its file in the package. */
export const packageEntries = [
  { subpath: '.', name: 'embed', source: 'src/embed.ts' },
  { subpath: './driver', name: 'driver', source: 'src/storage/driver.ts' },
  { subpath: './driver-contract', name: 'driver-contract', source: 'src/storage/driver-contract.suite.ts' },
] as const;

/** The oldest Node that runs the package; see docs/decisions/0003-npm-package.md. */
const engines = { node: '>=24.11' };

/**
 * The manifest of the package that others install. It is not the manifest of the working tree: it names no Node to
 * bring along (that would replace the user's own in scripts), and its files are JavaScript, since Node runs no
 * TypeScript below node_modules.
 */
export function packageManifest(project: PackageJson): Record<string, unknown> {
  const { name, version, description, license, keywords, dependencies } = project;
  const exports = packageEntries.map(({ subpath, name: file, source }) => [
    subpath,
    { types: source.replace(/^src\//, './types/').replace(/\.ts$/, '.d.ts'), default: `./lib/${file}.js` },
  ]);
  return {
    name,
    version,
    description,
    license,
    ...(keywords === undefined ? {} : { keywords }),
    type: 'module',
    engines,
    bin: { zot: 'lib/zot.js' },
    exports: { ...Object.fromEntries(exports), './package.json': './package.json' },
    imports: typeImports(project.imports),
    dependencies,
  };
}

/** The declarations keep their `#` names, so the package says where those lie. Only compilers ask. */
function typeImports(imports: PackageJson['imports']): Record<string, { types: string }> {
  const entries = Object.entries(imports).map(([name, target]) => {
    const source = typeof target === 'string' ? target : (target['default'] ?? '');
    return [name, { types: source.replace('./src/', './types/').replace(/\.ts$/, '.d.ts') }];
  });
  return Object.fromEntries(entries);
}
