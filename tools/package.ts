import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { composeBuildInfo } from '#lib/build-info';
import { commonOptions } from './build/bundle.ts';
import { packageEntries, packageManifest } from './build/package-manifest.ts';
import { distFolder, rootFolder } from './build/paths.ts';
import { readCommit, readPackageJson } from './build/project.ts';

/**
 * `npm run package`: makes dist/package, the npm package for those who embed the registry, and packs it into
 * dist/<name>-<version>.tgz; `--destination` names another folder than dist. Its code is JavaScript in a few files,
 * its types are declarations beside them, its dependencies stay packages.
 */
const { values } = parseArgs({ options: { destination: { type: 'string', default: distFolder } } });
const destination = resolve(values.destination);
const packageFolder = join(destination, 'package');

async function main(): Promise<void> {
  rmSync(packageFolder, { recursive: true, force: true });
  const project = readPackageJson();
  await writeCode(project.version);
  writeTypes();
  writeFileSync(`${packageFolder}/package.json`, `${JSON.stringify(packageManifest(project), null, 2)}\n`);
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md']) {
    if (existsSync(`${rootFolder}${file}`)) copyFileSync(`${rootFolder}${file}`, `${packageFolder}/${file}`);
  }
  const output = execFileSync('npm', ['pack', '--json', '--pack-destination', destination, packageFolder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const records = Object.values(JSON.parse(output) as Record<string, { filename: string }>);
  for (const { filename } of records) process.stdout.write(`${join(destination, filename)}\n`);
}

async function writeCode(version: string): Promise<void> {
  const info = composeBuildInfo({ version, commit: readCommit(), flavour: 'full' });
  const outFolder = `${packageFolder}/lib`;
  const { banner: _onlyForBundledPackages, ...common } = commonOptions(
    { flavour: 'full', info, outFolder },
    // All files lie side by side, so the entry is found from whichever of them asks.
    './zot.js',
  );
  const sources = [...packageEntries, { name: 'zot', source: 'src/bin/zot.ts' }];
  await build({
    ...common,
    entryPoints: Object.fromEntries(sources.map(({ name, source }) => [name, source])),
    outdir: outFolder,
    splitting: true,
    packages: 'external',
    chunkNames: '[name]-[hash]',
    target: 'node24',
    minifyWhitespace: false,
    minifySyntax: false,
    sourcemap: false,
  });
  chmodSync(`${outFolder}/zot.js`, 0o755);
}

/** Declarations of the entries and of all that they mention. */
function writeTypes(): void {
  const compiler = `${rootFolder}node_modules/typescript/bin/tsc`;
  const args = [compiler, '-p', 'tsconfig.package.json', '--outDir', `${packageFolder}/types`];
  execFileSync(process.execPath, args, { cwd: rootFolder, stdio: ['ignore', 'inherit', 'inherit'] });
  for (const entry of globSync('**/*.d.ts', { cwd: `${packageFolder}/types` })) {
    const file = `${packageFolder}/types/${entry}`;
    // The compiler leaves the endings as they are written; below node_modules there is no such source.
    const text = readFileSync(file, 'utf8').replace(
      /((?:from |import\()["']\.{1,2}\/[^"']*)\.ts(["'])/g,
      '$1.js$2',
    );
    writeFileSync(file, text);
  }
}

await main();
