import { contractFiles, contractNode, exemptFiles, layers, wiring, type Layer } from './layers.ts';

/** One pattern of the rule no-restricted-imports. */
interface ImportPattern {
  readonly group: string[];
  readonly allowTypeImports?: boolean;
  readonly message: string;
}

/** An `overrides` entry of the oxlint configuration. */
export interface LayerOverride {
  files: string[];
  excludeFiles: string[];
  rules: { 'no-restricted-imports': ['error', { patterns: ImportPattern[] }] };
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

function override(layer: Layer, depth: number, contracts: boolean): LayerOverride {
  const at = `src/${layer.folder}/${'*/'.repeat(depth)}`;
  const deeperRows = layers.filter(({ folder }) => folder.startsWith(`${layer.folder}/`));
  const node = contracts ? [...layer.node, ...contractNode] : layer.node;
  return {
    files: [`${at}${contracts ? contractFiles : '*.ts'}`],
    excludeFiles: [
      ...exemptFiles,
      ...(contracts ? [] : [`**/${contractFiles}`]),
      ...deeperRows.map(({ folder }) => `src/${folder}/**`),
    ],
    rules: { 'no-restricted-imports': ['error', { patterns: patternsOf({ ...layer, node }, depth) }] },
  };
}

function patternsOf(layer: Layer, depth: number): ImportPattern[] {
  const types = layer.types ?? [];
  const allowed = [...ownFiles(layer, depth), ...layer.modules, ...types, ...layer.node, ...packagePatterns(layer)];
  return [
    {
      group: ['*', '.*', '**', ...allowed.map((pattern) => `!${pattern}`)],
      message: `src/${layer.folder} may import: ${describe(layer)}. See tools/layers.ts.`,
    },
    ...(types.length === 0
      ? []
      : [
          {
            group: [...types],
            allowTypeImports: true,
            message: `src/${layer.folder} may import only types of ${types.join(', ')}. See tools/layers.ts.`,
          },
        ]),
  ];
}

/** The layer's own files, as a file at this depth writes them. A row inside another may reach the outer folder's top. */
function ownFiles(layer: Layer, depth: number): string[] {
  const outer = layer.folder.split('/').length - 1;
  const ups = Array.from({ length: depth + outer }, (_, index) => '../'.repeat(index + 1));
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
