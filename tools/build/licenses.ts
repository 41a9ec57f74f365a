import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rootFolder } from './paths.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/**
 * The licences of everything in an executable, as one text: of this project, of the packages in its bundle, of Node.
 *
 * @param packages the names of the packages in the bundle
 * @param runtime path of the Node binary that becomes the executable
 * @throws Error when a package brings no text of its licence and names none that needs no text
 */
export function collectLicenses(packages: readonly string[], runtime: string): string {
  const own = section('zot', readFileSync(`${rootFolder}LICENSE`, 'utf8'));
  const others = packages.map((name) => {
    const folder = `${rootFolder}node_modules/${name}`;
    const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Manifest;
    const text = findLicenseText(folder) ?? `Licence: ${license ?? missingLicense(name)}\n`;
    return section(`${name} ${version}`, text);
  });
  return [own, ...others, section('Node.js', readNodeLicense(runtime))].join('\n');
}

function findLicenseText(folder: string): string | null {
  const [file] = globSync('{LICENSE,LICENCE,license}{,.md,.txt}', { cwd: folder });
  return file === undefined ? null : readFileSync(join(folder, file), 'utf8');
}

/** Packages for Node put its licence beside the binary's folder; a package fetched for another machine lacks it. */
function readNodeLicense(runtime: string): string {
  const beside = join(dirname(runtime), '../LICENSE');
  if (existsSync(beside)) return readFileSync(beside, 'utf8');
  return 'See LICENSE of Node.js at https://github.com/nodejs/node.\n';
}

function missingLicense(name: string): never {
  throw new Error(`${name} says nothing about its licence`);
}

function section(title: string, text: string): string {
  return `${'='.repeat(80)}\n${title}\n${'='.repeat(80)}\n\n${text.trimEnd()}\n`;
}
