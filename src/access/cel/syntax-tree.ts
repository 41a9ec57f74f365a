import type { ASTNode } from '@marcbachmann/cel-js';

/** What `matches` is called in programs: see `functions.ts`. */
export const MATCHES = 're2Matches';

/** Macros that go over a list or map, and functions that compare lists with each other. */
const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'existsOne', 'map', 'filter']);

/** The parts of a node, in the order of the text. */
export function partsOf(node: ASTNode): ASTNode[] {
  return nodesIn(node.args);
}

function nodesIn(value: unknown): ASTNode[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  return isNode(value) ? [value] : [];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** Every node, parts before the whole. */
export function* allNodes(node: ASTNode): Generator<ASTNode> {
  for (const part of partsOf(node)) yield* allNodes(part);
  yield node;
}

/** Gives the method `matches` its other name wherever it is called, and says how often it was. */
export function renameMatches(ast: ASTNode): number {
  let renamed = 0;
  for (const node of allNodes(ast)) {
    if (node.op !== 'rcall' || node.args[0] !== 'matches') continue;
    node.args[0] = MATCHES;
    renamed += 1;
  }
  return renamed;
}

/** How deep loops stand within loops. */
export function nestingOf(node: ASTNode): number {
  const inner = Math.max(0, ...partsOf(node).map(nestingOf));
  return node.op === 'rcall' && LOOPS.has(node.args[0]) ? inner + 1 : inner;
}

/** Chains of fields such as `req.client.ip`, as lists of names; those behind `.?` or within `has()` are left out. */
export function fieldChains(node: ASTNode): string[][] {
  if (node.op === 'call' && node.args[0] === 'has') return [];
  const chain = chainOf(node);
  return chain !== null && chain.length > 1 ? [chain] : partsOf(node).flatMap(fieldChains);
}

function chainOf(node: ASTNode): string[] | null {
  if (node.op === 'id') return [node.args];
  if (node.op !== '.') return null;
  const before = chainOf(node.args[0]);
  return before === null ? null : [...before, node.args[1]];
}
