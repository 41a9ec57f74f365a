import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { modulesOf, packagesOf, type Bundle } from './bundle.ts';
import { collectLicenses } from './licenses.ts';
import { signAdHoc } from './macho-sign.ts';
import { distFolder } from './paths.ts';
import { readRuntime } from './runtime.ts';
import { isNative, type Target } from './targets.ts';

/**
 * Flags of V8 that are fixed in the executable. A small young generation costs no speed and about a quarter less
 * memory under load (measured; see docs/performance.md). NODE_OPTIONS can add to them: that is how an operator
 * sets `--max-old-space-size` on a small device.
 */
const execArgv = ['--max-semi-space-size=4'];

/** Where the built web interface lies, when there is one. */
const webFolder = `${distFolder}web`;

/** Makes one executable file from a bundle: a copy of Node with the bundle and the assets inside. */
export function makeExecutable(bundle: Bundle, target: Target, file: string): void {
  const runtime = readRuntime(target);
  const licenses = `${bundle.file}.licenses.txt`;
  writeFileSync(licenses, collectLicenses(packagesOf(modulesOf(bundle.metafile)), runtime));
  const config = {
    main: bundle.file,
    mainFormat: 'module',
    output: file,
    executable: runtime,
    disableExperimentalSEAWarning: true,
    useCodeCache: isNative(target),
    execArgv,
    execArgvExtension: 'env',
    assets: { 'licenses.txt': licenses, ...webAssets() },
  };
  mkdirSync(dirname(file), { recursive: true });
  const configFile = `${bundle.file}.sea.json`;
  writeFileSync(configFile, JSON.stringify(config, null, 2));
  execFileSync(process.execPath, ['--build-sea', configFile], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (target.needsSignature) signAdHoc(file, 'zot');
}

function webAssets(): Record<string, string> {
  if (!existsSync(webFolder)) return {};
  const files = globSync('**/*', { cwd: webFolder, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = `${entry.parentPath}/${entry.name}`;
      return [`web/${relative(webFolder, path)}`, path];
    }),
  );
}
