import { build, type BuildOptions, type BuildResult, type Metafile, type Plugin } from 'esbuild';
import type { BuildFlavour, BuildInfo } from '#lib/build-info';
import { rootFolder } from './paths.ts';

/** What every bundle of this project has in common. */
export interface BundleSettings {
  readonly flavour: BuildFlavour;
  readonly info: BuildInfo;
  readonly outFolder: string;
}

/** A bundle on disk and the list of what went into it. */
export interface Bundle {
  readonly file: string;
  readonly metafile: Metafile;
}

/** CommonJS packages in an ES module still ask for `require`, for Node's own modules. */
const requireBanner = `import { createRequire as zotCreateRequire } from 'node:module';
const require = zotCreateRequire(import.meta.url);`;

/**
 * An `import` of node:http reads every one of its exports, and some of those load Node's whole fetch: 7 MiB of private
 * memory in every process. Taken as an object, only what is used is read.
 */
const lazyHttp: Plugin = {
  name: 'lazy-http',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:http$/ }, () => ({ path: 'node:http', namespace: 'builtin' }));
    bundler.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** The options shared by the single executable and the npm package. */
export function commonOptions(settings: BundleSettings, entryFromBundle: string): BuildOptions {
  return {
    absWorkingDir: rootFolder,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    conditions: settings.flavour === 'minimal' ? ['minimal'] : [],
    define: {
      ZOT_BUILD_INFO: JSON.stringify(settings.info),
      ZOT_BUNDLE_ENTRY: JSON.stringify(entryFromBundle),
    },
    banner: { js: requireBanner },
    // Half of the text, and some MiB of memory of every process. Names stay, for the reader of a stack trace; the
    // source map beside the bundle leads from there to the sources.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: 'external',
    legalComments: 'none',
    plugins: [lazyHttp],
    logLevel: 'warning',
    metafile: true,
  };
}

/** Bundles the program, from its entry, into one ES module. */
export async function bundleProgram(settings: BundleSettings): Promise<Bundle> {
  const name = settings.flavour === 'minimal' ? 'zot-minimal' : 'zot';
  const file = `${settings.outFolder}/${name}.mjs`;
  const common = commonOptions(settings, `./${name}.mjs`);
  const program = await build({ ...common, entryPoints: ['src/bin/zot.ts'], outfile: file });
  return { file, metafile: metafileOf(program) };
}

function metafileOf(result: BuildResult): Metafile {
  if (result.metafile === undefined) throw new Error('esbuild gave no metafile');
  return result.metafile;
}

/** The modules of a bundle, as paths from the top of the working tree: the proof of what is inside. */
export function modulesOf(metafile: Metafile): string[] {
  return Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .map(([path]) => path)
    .sort();
}

/** The names of the npm packages in a bundle. */
export function packagesOf(modules: readonly string[]): string[] {
  const names = modules.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}
