import type { ASTNode } from '@marcbachmann/cel-js';
import { allNodes } from './syntax-tree.ts';

/** Rewritten at most so often; each writing takes one macro away. */
const MACROS_MAX = 64;

/**
 * Writes `o.optMap(x, e)`, `o.optFlatMap(x, e)` and `optional.ofNonZeroValue(e)` out in terms that the library knows:
 * a name is bound to the value where there is one.
 */
export function expandOptionalMacros(source: string, parse: (text: string) => ASTNode): string {
  let text = source;
  for (let count = 0; /\b(?:opt(?:Flat)?Map|ofNonZeroValue)\b/.test(text) && count < MACROS_MAX; count += 1) {
    const call = findMacro(parse(text));
    if (call === null) return text;
    text = text.slice(0, call.start) + written(text, call, count) + text.slice(call.end);
  }
  return text;
}

interface MacroCall {
  readonly start: number;
  readonly end: number;
  readonly method: string;
  readonly receiver: ASTNode;
  readonly parts: readonly ASTNode[];
}

function findMacro(ast: ASTNode): MacroCall | null {
  for (const node of allNodes(ast)) {
    if (node.op !== 'rcall') continue;
    const [method, receiver, parts] = node.args;
    const isMap =
      (method === 'optMap' || method === 'optFlatMap') && parts.length === 2 && parts[0]?.op === 'id';
    const isOf = method === 'ofNonZeroValue' && parts.length === 1 && receiver.op === 'id';
    if (isMap || isOf) return { start: node.start, end: node.end, method, receiver, parts };
  }
  return null;
}

function written(text: string, call: MacroCall, count: number): string {
  const textOf = (node: ASTNode | undefined): string =>
    node === undefined ? '' : text.slice(node.start, node.end);
  const [first, second] = call.parts;
  const bound = `optional_${count}`;
  if (call.method === 'ofNonZeroValue') {
    return `cel.bind(${bound}, (${textOf(first)}), zotIsZero(${bound}) ? optional.none() : optional.of(${bound}))`;
  }
  const value = call.method === 'optMap' ? `optional.of(${textOf(second)})` : textOf(second);
  const mapped = `cel.bind(${textOf(first)}, ${bound}.value(), ${value})`;
  return `cel.bind(${bound}, (${textOf(call.receiver)}), ${bound}.hasValue() ? ${mapped} : optional.none())`;
}
