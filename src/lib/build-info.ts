import { readFileSync } from 'node:fs';

/** What this build is: printed by `zot --version`, shown in logs and in the discovery answers. */
export interface BuildInfo {
  /** The version of the package, without a leading `v`. */
  readonly version: string;
  /** The git commit that was built, or `source` when the program runs from a working tree. */
  readonly commit: string;
  /** `minimal`, or the features of a full build joined as zot joins them (`-sync-search-scrub`). */
  readonly binaryType: string;
  /** The version of the distribution specification that the server speaks. */
  readonly distributionSpec: string;
}

export type BuildFlavour = 'full' | 'minimal';

/**
 * The features a full build holds today, in zot's order and by zot's names.
 * A new extension adds its name here; clients read the list to learn what the server can do.
 */
export const fullFeatures: readonly string[] = ['scrub', 'mgmt'];

/** The text that zot prints as `binary-type` for a build of this flavour. */
export function binaryTypeOf(flavour: BuildFlavour, features: readonly string[] = fullFeatures): string {
  if (flavour === 'minimal') return 'minimal';
  return features.length === 0 ? 'full' : `-${features.join('-')}`;
}

const distributionSpec = '1.1.1';

/** Composes the record that tools/build.ts writes into a bundle. */
export function composeBuildInfo(of: { version: string; commit: string; flavour: BuildFlavour }): BuildInfo {
  return { version: of.version, commit: of.commit, binaryType: binaryTypeOf(of.flavour), distributionSpec };
}

/** Replaced by esbuild's `define` in a bundle; absent when Node runs the sources. */
declare const ZOT_BUILD_INFO: BuildInfo | undefined;

export const buildInfo: BuildInfo =
  typeof ZOT_BUILD_INFO === 'undefined' ? sourceBuildInfo() : ZOT_BUILD_INFO;

/** The defaults of a source run. Git is not asked: a start must not depend on a tool or cost a process. */
function sourceBuildInfo(): BuildInfo {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  const minimal = process.execArgv.some((flag) => flag === '--conditions=minimal' || flag === '-C=minimal');
  return composeBuildInfo({ version, commit: 'source', flavour: minimal ? 'minimal' : 'full' });
}
