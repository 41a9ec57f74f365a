import { parseArgs } from 'node:util';
import { composeBuildInfo, type BuildFlavour } from '#lib/build-info';
import { bundleProgram } from './build/bundle.ts';
import { makeExecutable } from './build/executable.ts';
import { measureExecutable, type Measurement } from './build/measure.ts';
import { distFolder } from './build/paths.ts';
import { readCommit, readPackageJson } from './build/project.ts';
import { isNative, nativeTargetName, parseTarget, type Target } from './build/targets.ts';

/**
 * `npm run build`: makes dist/zot and dist/zot-minimal, each one executable file, and prints what they weigh.
 * `npm run build -- --target linux-arm64` makes dist/zot-linux-arm64 and dist/zot-minimal-linux-arm64 instead.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      target: { type: 'string' },
      flavour: { type: 'string' },
      measure: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  const target = parseTarget(values.target ?? nativeTargetName);
  const flavours: BuildFlavour[] = (['full', 'minimal'] as const).filter(
    (flavour) => values.flavour === undefined || values.flavour === flavour,
  );
  for (const flavour of flavours) {
    const file = await buildOne(flavour, target, values.target !== undefined);
    if (values.measure && isNative(target)) print(file, await measureExecutable(file));
    else process.stdout.write(`${file}\n`);
  }
}

async function buildOne(flavour: BuildFlavour, target: Target, named: boolean): Promise<string> {
  const info = composeBuildInfo({ version: readPackageJson().version, commit: readCommit(), flavour });
  const bundle = await bundleProgram({ flavour, info, outFolder: `${distFolder}bundle` });
  const name = flavour === 'minimal' ? 'zot-minimal' : 'zot';
  const file = `${distFolder}${name}${named ? `-${target.name}` : ''}`;
  makeExecutable(bundle, target, file);
  return file;
}

function print(file: string, measured: Measurement): void {
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const { idle } = measured;
  const rows = [
    ['size', mib(measured.sizeBytes)],
    ['start to the end of --version', `${measured.versionMs.toFixed(0)} ms`],
    ['start to listening', `${measured.listeningMs.toFixed(0)} ms`],
    ['idle, private memory (RssAnon)', idle === null ? 'not known here' : mib(idle.privateBytes)],
    ['idle, resident memory (RSS)', idle === null ? 'not known here' : mib(idle.residentBytes)],
  ];
  process.stdout.write(
    `${file}\n${rows.map(([name = '', value = '']) => `  ${name.padEnd(32)} ${value}\n`).join('')}`,
  );
}

await main();
