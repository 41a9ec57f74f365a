import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { debianTools } from './test-tool-versions.ts';

const run = promisify(execFile);
const outputLimitBytes = 16 * 1024 * 1024;

/** Finds a program on the PATH, or in the folders that Debian keeps for root. `null` when it is not installed. */
export async function findProgram(name: string): Promise<string | null> {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const file = path.join(folder, name);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (folder !== '' && isThere) return file;
  }
  return null;
}

/** Installs the packages whose program is missing, by apt-get as root. Prints what it did and how long it took. */
export async function installDebianTools(): Promise<void> {
  const startMs = performance.now();
  const missing: string[] = [];
  for (const tool of debianTools) {
    if ((await findProgram(tool.program)) === null) missing.push(tool.debianPackage);
  }
  if (missing.length > 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = { env, timeout: 10 * 60_000, maxBuffer: outputLimitBytes };
    await run('apt-get', ['update', '-q'], options);
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], options);
  }
  const what = missing.length === 0 ? 'all present' : `installed ${missing.join(' ')}`;
  console.log(`Debian packages: ${what}, ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  for (const tool of debianTools) console.log(`  ${await packageVersion(tool.debianPackage)}`);
}

async function packageVersion(debianPackage: string): Promise<string> {
  const { stdout } = await run('dpkg-query', ['--show', debianPackage]);
  return stdout.trim().replace('\t', ' ');
}
