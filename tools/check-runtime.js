// Runs before `npm start`, by the Node that runs npm, which may be too old to read TypeScript: hence plain JavaScript.
// `npm ci` brings the Node that runs this project, and npm puts it first on the PATH of its scripts. Where that cannot
// work, this says why in one line instead of a stack trace or the words of the dynamic loader.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The oldest Node that runs the sources; the pinned one is newer. */
const oldestNode = '24.11.0';

/** The package that holds a library of the loader, for the systems people have. */
const libraryPackages = {
  'libatomic.so.1': 'libatomic1 (Debian, Ubuntu) or libatomic (Fedora, RHEL)',
  'libstdc++.so.6': 'libstdc++6 (Debian, Ubuntu) or libstdc++ (Fedora, RHEL)',
  'libgcc_s.so.1': 'libgcc-s1 (Debian, Ubuntu) or libgcc (Fedora, RHEL)',
};

/**
 * @param {string} npmNode path of the Node that npm installs
 * @returns {string | null} what is wrong, or null when `node` on the PATH can run the sources
 */
function findRuntimeFault(npmNode) {
  const { status, stdout, stderr, error } = spawnSync('node', ['--version'], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  if (error !== undefined) return `\`node --version\` failed: ${error.message}; ${adviceFor(npmNode)}`;
  if (status !== 0) return explainLoader(stderr) ?? `\`node --version\` failed: ${stderr.trim()}`;
  const version = stdout.trim().replace('v', '');
  if (compareVersions(version, oldestNode) >= 0) return null;
  return `zot needs Node ${oldestNode} or newer, and the \`node\` on the PATH is ${version}; ${adviceFor(npmNode)}`;
}

/**
 * @param {string} words what the dynamic loader said
 * @returns {string | null} the same in terms of packages, or null when the words are not known
 */
function explainLoader(words) {
  const library = /error while loading shared libraries: ([^:\s]+)/.exec(words)?.[1];
  if (library !== undefined) {
    const name = libraryPackages[library] ?? 'the package that holds it';
    return `Node cannot start because this machine lacks the library ${library}; install ${name} and start again`;
  }
  const glibc = /version `(GLIBC\w*_[\d.]+)' not found/.exec(words)?.[1];
  if (glibc === undefined) return null;
  return `Node cannot start because the system's libraries are too old (${glibc} is missing); use a newer system`;
}

/** @param {string} npmNode */
function adviceFor(npmNode) {
  if (existsSync(npmNode)) {
    return `the one that npm installed (${npmNode}) does not start on this system, which may lack glibc`;
  }
  const { platform, arch } = process;
  const hasPackage = ['linux-x64', 'linux-arm64', 'darwin-arm64'].includes(`${platform}-${arch}`);
  return hasPackage
    ? 'run `npm ci`, which brings the right one'
    : `npm has none to bring for ${platform}-${arch}, so install it from your system or from nodejs.org`;
}

/**
 * @param {string} a
 * @param {string} b
 * @returns {number} below, at or above zero, as a is older than, equal to or newer than b
 */
function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (const index of [0, 1, 2]) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const fault = findRuntimeFault(fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url)));
if (fault !== null) {
  process.stderr.write(`Error: ${fault}.\n`);
  process.exitCode = 1;
}
