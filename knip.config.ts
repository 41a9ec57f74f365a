import type { KnipConfig } from 'knip';

/** Where the program, the package, the tools and the tests begin. What none of them reaches is dead. */
const config: KnipConfig = {
  entry: [
    'src/bin/*.ts',
    'src/extensions/{full,minimal}.ts',
    'tools/*.ts',
    'test/**/*.test.ts',
    'test/bench/{main,load/generator}.ts',
    'src/**/*.test.ts',
    'examples/**/*.{ts,js}',
  ],
  project: ['src/**/*.ts', 'test/**/*.ts', 'tools/**/*.ts'],
  // Debian's own, used by tests that say so when it is missing.
  ignoreBinaries: ['mount', 'umount'],
  ignoreExportsUsedInFile: true,
};

export default config;
