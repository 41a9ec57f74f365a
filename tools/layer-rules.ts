import { suiteFiles, suiteNode, exemptFiles, layers, wiring, type Layer } from './layers.ts';

/** A list in which a later `!name` takes back what an earlier pattern refused. */
interface ImportPattern {
  readonly group: string[];
  readonly message: string;
}

/** A module of which only types may be imported. Patterns cannot say so: a `!name` in one overrules all others. */
interface TypesOnlyPath {
  readonly name: string;
  readonly allowTypeImports: true;
  readonly message: string;
}

/** An `overrides` entry of the oxlint configuration. */
export interface LayerOverride {
  files: string[];
  excludeFiles: string[];
  rules: { 'no-restricted-imports': ['error', { paths: TypesOnlyPath[]; patterns: ImportPattern[] }] };
}

/** How deep below a layer's folder its files may lie. */
const depthMax = 3;

/**
 * The lint rules of the table: for each folder an allow-list, written as "all, but not these". Files deeper in a
 * folder may also reach up to the folder's top, and no further, so there is one entry for each depth.
 */
export function layerOverrides(): LayerOverride[] {
  return layers.flatMap((layer) =>
    Array.from({ length: depthMax + 1 }, (_, depth) => [
      override(layer, depth, false),
      override(layer, depth, true),
    ]).flat(),
  );
}

function override(layer: Layer, depth: number, suites: boolean): LayerOverride {
  const at = `src/${layer.folder}/${'*/'.repeat(depth)}`;
  const deeperRows = layers.filter(({ folder }) => folder.startsWith(`${layer.folder}/`));
  const node = suites ? [...layer.node, ...suiteNode] : layer.node;
  return {
    files: [`${at}${suites ? suiteFiles : '*.ts'}`],
    excludeFiles: [
      ...exemptFiles,
      ...(suites ? [] : [`**/${suiteFiles}`]),
      ...deeperRows.map(({ folder }) => `src/${folder}/**`),
    ],
    rules: { 'no-restricted-imports': ['error', restrictionsOf({ ...layer, node }, depth)] },
  };
}

function restrictionsOf(layer: Layer, depth: number): { paths: TypesOnlyPath[]; patterns: ImportPattern[] } {
  const types = layer.types ?? [];
  const allowed = [
    ...ownFiles(layer, depth),
    ...layer.modules,
    ...types,
    ...layer.node,
    ...packagePatterns(layer),
  ];
  const paths = types.map((name): TypesOnlyPath => {
    const message = `src/${layer.folder} may import only types of ${name}. See tools/layers.ts.`;
    return { name, allowTypeImports: true, message };
  });
  const rest: ImportPattern = {
    group: ['*', '.*', '**', ...allowed.map((pattern) => `!${pattern}`)],
    message: `src/${layer.folder} may import: ${describe(layer)}. See tools/layers.ts.`,
  };
  return { paths, patterns: [rest] };
}

/** The layer's own files, as a file at this depth writes them. A row inside another reaches the outer folder's top. */
function ownFiles(layer: Layer, depth: number): string[] {
  const outer = layer.folder.split('/').length - 1 - (layer.closedFolders === true ? 1 : 0);
  const ups = Array.from({ length: Math.max(0, depth + outer) }, (_, index) => '../'.repeat(index + 1));
  return ['./**', ...ups.flatMap((up) => [`${up}*.ts`, `${up}*/*.ts`])];
}

function packagePatterns(layer: Layer): string[] {
  return (layer.packages ?? []).flatMap((name) => [name, `${name}/**`]);
}

function describe(layer: Layer): string {
  const types = (layer.types ?? []).map((name) => `${name} (types)`);
  return ['its own files', ...layer.modules, ...types, ...layer.node, ...(layer.packages ?? [])].join(', ');
}

/** The row or wiring entry that holds a path below src/, or null when the table forgets it. */
export function findLayer(pathBelowSrc: string): string | null {
  const holds = (folder: string): boolean => pathBelowSrc === folder || pathBelowSrc.startsWith(`${folder}/`);
  const rows = layers.map(({ folder }) => folder).filter(holds);
  const deepest = rows.sort((a, b) => b.length - a.length)[0];
  return deepest ?? wiring.find(holds) ?? null;
}
