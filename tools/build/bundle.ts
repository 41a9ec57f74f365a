import { readFileSync, writeFileSync } from 'node:fs';
import { build, buildSync, type BuildOptions, type BuildResult, type Metafile, type Plugin } from 'esbuild';
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

/** What runs in threads of its own; bundles carry the text of each: see `src/lib/start-worker.ts`. */
const workers = ['src/access/passwords/password-worker.ts'];

function workerTexts(): Record<string, string> {
  const texts = workers.map((entry) => {
    const result = buildSync({
      absWorkingDir: rootFolder,
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      target: 'node26',
      format: 'cjs',
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: 'none',
      logLevel: 'warning',
      write: false,
    });
    return [entry.slice(entry.lastIndexOf('/') + 1), result.outputFiles[0]?.text ?? ''];
  });
  return Object.fromEntries(texts);
}

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
      ZOT_WORKERS: JSON.stringify(workerTexts()),
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
  writeFileSync(file, escapeWideCharacters(readFileSync(file, 'utf8')));
  return { file, metafile: metafileOf(program) };
}

/**
 * Writes every character beyond ASCII as an escape. V8 keeps a text with one such character at two bytes each, and
 * esbuild escapes them everywhere but in regular expressions, where the same escape means the same.
 */
export function escapeWideCharacters(code: string): string {
  return code.replace(/(\\*)([^\0-\x7f])/g, (_match, slashes: string, wide: string) => {
    // A backslash of its own before the character meant the character; it must not swallow the escape.
    const before = slashes.length % 2 === 0 ? slashes : slashes.slice(1);
    return `${before}\\u${wide.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
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
