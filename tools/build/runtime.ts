import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isNative, type Target } from './targets.ts';
import { cacheFolder, rootFolder } from './paths.ts';

/**
 * The path of the Node binary that becomes the executable of a target.
 *
 * npm installs only the package of the machine at hand. The package of another one is fetched by npm itself, from the
 * registry that npm is set up for, and must have the integrity that package-lock.json pins; it is then kept.
 *
 * @throws Error when the package is not in the lock file or its bytes are not the pinned ones.
 */
export function readRuntime(target: Target): string {
  if (isNative(target)) return process.execPath;
  const pinned = readPin(target.runtimePackage);
  const folder = folderOf(target.runtimePackage, pinned);
  if (findFetchedRuntime(target) === null) fetchRuntime(target.runtimePackage, pinned, folder);
  return `${folder}/${binaryInFolder}`;
}

/** Like `readRuntime`, but null instead of a download. */
export function findFetchedRuntime(target: Target): string | null {
  if (isNative(target)) return process.execPath;
  const binary = `${folderOf(target.runtimePackage, readPin(target.runtimePackage))}/${binaryInFolder}`;
  return existsSync(binary) ? binary : null;
}

const binaryInFolder = 'package/bin/node';

/** Kept between runs, by version: in ZOT_RUNTIMES_DIR, or in the cache of the working tree. */
function folderOf(name: string, pin: Pin): string {
  const top = process.env['ZOT_RUNTIMES_DIR'] ?? `${cacheFolder}runtimes`;
  return `${top}/${name}-${pin.version}`;
}

interface Pin {
  readonly version: string;
  /** Subresource integrity: `sha512-<base64>`. */
  readonly integrity: string;
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
}

/** What package-lock.json says about a package. @throws Error when it says nothing. */
export function readPin(name: string): Pin {
  const lock = JSON.parse(readFileSync(`${rootFolder}package-lock.json`, 'utf8')) as LockFile;
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined)
    throw new Error(`package-lock.json does not pin ${name}`);
  return { version, integrity };
}

function fetchRuntime(name: string, pin: Pin, folder: string): void {
  const incoming = `${folder}.incoming`;
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true });
  process.stderr.write(`fetching ${name}@${pin.version} ...\n`);
  const output = execFileSync(
    'npm',
    ['pack', '--json', '--pack-destination', incoming, `${name}@${pin.version}`],
    {
      cwd: rootFolder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const archive = `${incoming}/${packedName(output)}`;
  checkIntegrity(name, readFileSync(archive), pin.integrity);
  execFileSync('tar', ['-xzf', archive, '-C', incoming, binaryInFolder, 'package/LICENSE']);
  rmSync(archive);
  rmSync(folder, { recursive: true, force: true });
  renameSync(incoming, folder);
}

/** npm 10 prints a list, npm 12 an object by name; both hold records with `filename`. */
export function packedName(output: string): string {
  const records = Object.values(JSON.parse(output) as Record<string, { filename?: string }>);
  const filename = records[0]?.filename;
  if (filename === undefined) throw new Error(`npm pack did not name its file: ${output}`);
  return filename.replace(/^@/, '').replace('/', '-');
}

/** @throws Error when the bytes are not those of the integrity. */
export function checkIntegrity(name: string, bytes: Uint8Array, integrity: string): void {
  const [algorithm = '', expected = ''] = integrity.split(/-(.*)/s);
  const actual = createHash(algorithm).update(bytes).digest('base64');
  if (actual !== expected) {
    throw new Error(
      `${name} has the integrity ${algorithm}-${actual}, but package-lock.json pins ${integrity}`,
    );
  }
}
