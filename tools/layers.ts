/**
 * The one table of layers: what each folder of src/ may import. Everything that is not listed is refused, types and
 * `import()` included. oxlint.config.ts turns the table into lint rules; tools/layers.test.ts proves that every folder
 * stands here and that planted violations are caught. Test files are exempt.
 *
 * Imports run downwards only:
 * lib -> oci -> config | storage | metadata -> registry, access -> transfer, tasks -> control, http, extensions
 *   -> processes, cli, app
 */

/** What a folder may import beside its own files. */
export interface Layer {
  /** Path below src/, without a slash at the end. A deeper row wins over the row of its parent. */
  readonly folder: string;
  /** Modules of ours, as `#` imports. */
  readonly modules: readonly string[];
  /** Modules of ours of which only types may be imported. */
  readonly types?: readonly string[];
  /** Modules of Node. */
  readonly node: readonly string[];
  /** npm packages. */
  readonly packages?: readonly string[];
  /** True when each folder in it is a world of its own: its files reach no file above or beside it by path. */
  readonly closedFolders?: boolean;
}

/** Modules of Node that reach no file, socket or process: fit for a layer that only computes and orders. */
const pureNode = [
  'node:assert',
  'node:assert/strict',
  'node:async_hooks',
  'node:buffer',
  'node:crypto',
  'node:events',
  'node:path',
  'node:path/posix',
  'node:perf_hooks',
  'node:stream',
  'node:stream/promises',
  'node:stream/web',
  'node:string_decoder',
  'node:timers',
  'node:timers/promises',
  'node:url',
  'node:util',
];
const fileNode = [
  ...pureNode,
  'node:fs',
  'node:fs/promises',
  'node:os',
  'node:process',
  'node:zlib',
  'node:worker_threads',
];

/** In the patterns of the rule `node:*` does not cover `node:fs/promises`. */
const allNode = ['node:*', 'node:*/*'];

const values = ['#lib/*', '#oci/*'];

export const layers: readonly Layer[] = [
  { folder: 'lib', modules: ['#lib/*'], node: allNode, packages: ['pino'] },
  { folder: 'oci', modules: values, node: ['node:crypto'] },
  { folder: 'config', modules: values, node: fileNode, packages: ['zod', 'yaml', 'smol-toml', 're2js'] },
  { folder: 'storage', modules: values, types: ['#config'], node: fileNode },
  { folder: 'metadata', modules: values, node: pureNode },
  { folder: 'metadata/sqlite', modules: values, node: [...fileNode, 'node:sqlite'] },
  { folder: 'metadata/redis', modules: values, node: pureNode },
  { folder: 'registry', modules: [...values, '#storage', '#metadata'], node: pureNode },
  { folder: 'transfer', modules: [...values, '#registry', '#storage', '#metadata'], node: fileNode },
  { folder: 'check', modules: [...values, '#storage'], node: [...fileNode, 'node:sqlite'] },
  {
    folder: 'access',
    modules: [...values, '#metadata'],
    types: ['#config'],
    // Directories are reached over sockets of our own making: see ldap/ldap-socket.ts.
    node: [...fileNode, 'node:net', 'node:tls'],
    packages: [
      '@marcbachmann/cel-js',
      're2js',
      'bcryptjs',
      'ldapts',
      'jose',
      'openid-client',
      '@aws-sdk/client-secrets-manager',
    ],
  },
  {
    folder: 'tasks',
    modules: [...values, '#registry', '#storage', '#metadata'],
    types: ['#config'],
    node: fileNode,
    packages: ['re2js'],
  },
  {
    folder: 'control',
    modules: [...values, '#registry', '#storage', '#metadata', '#tasks'],
    types: ['#config'],
    node: [...fileNode, 'node:net', 'node:readline'],
  },
  {
    folder: 'http',
    modules: [...values, '#registry', '#access'],
    types: ['#config'],
    node: allNode,
    packages: ['fastify', 'pino'],
  },
  { folder: 'client', modules: values, node: allNode },
  {
    folder: 'extensions',
    modules: ['#extension', ...values, '#registry', '#metadata', '#client'],
    types: ['#config', '#http', '#tasks'],
    node: allNode,
    closedFolders: true,
  },
  { folder: 'cli/client', modules: [...values, '#client'], node: allNode },
  { folder: 'cli/bench', modules: [...values, '#client'], node: allNode },
];

/** Where everything is wired together: these may import all that lies below, private files included. */
export const wiring: readonly string[] = ['app.ts', 'app', 'embed.ts', 'bin', 'cli', 'processes'];

/** Files that no layer holds back: they run in tests only. */
export const exemptFiles: readonly string[] = ['**/*.test.ts'];

/** Suites that a driver's test runs; they stay in their layer but need the test runner as well. */
export const suiteFiles = '*.suite.ts';
export const suiteNode: readonly string[] = ['node:test', ...fileNode];
