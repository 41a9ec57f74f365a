import { compileGlob } from '#lib/doublestar';
import type { Glob } from '#lib/doublestar';
import { expandBraces } from '#lib/doublestar-syntax';
import { WeightedLru } from '#lib/weighted-lru';
import { comparePatterns, isLiteral } from './pattern-order.ts';

/** An entry and its place in the order of all patterns; the lowest that matches wins. */
interface Ranked<Entry> {
  readonly rank: number;
  readonly entry: Entry;
}

/** A place in the tree: the literal parts on the way to it are the beginning of its patterns. */
interface Node<Entry> {
  readonly below: Map<string, Node<Entry>>;
  /** The pattern that ends here. */
  exact: Ranked<Entry> | null;
  /** The rest is `*`. */
  oneBelow: Ranked<Entry> | null;
  /** The rest is `**`: this place and everything below. */
  allBelow: Ranked<Entry> | null;
  /** Any other rest, in order. */
  readonly globs: (Ranked<Entry> & { readonly glob: Glob })[];
}

/** Repositories whose winning entry is remembered. */
const REMEMBERED_MAX = 10_000;

/**
 * Finds the pattern that decides about a repository. Patterns that are literal but for a last `*` or `**` are found in
 * a tree, whose cost is that of the parts of the name, however many patterns there are; the few others are tried one
 * by one, and what was found is remembered.
 */
export class PatternIndex<Entry> {
  #root: Node<Entry> = newNode();
  #remembered = new WeightedLru<string, Ranked<Entry> | null>(REMEMBERED_MAX);

  /** Patterns are globs as `#lib/doublestar` has them, read in lower case as zot does. Throws `GlobSyntaxError`. */
  constructor(entries: Iterable<readonly [pattern: string, entry: Entry]>) {
    const ordered = [...entries]
      .map(([pattern, entry]) => ({ pattern: pattern.toLowerCase(), entry }))
      .sort((one, other) => comparePatterns(one.pattern, other.pattern));
    for (const [rank, { pattern, entry }] of ordered.entries()) {
      for (const alternative of expandBraces(pattern)) insert(this.#root, alternative, { rank, entry });
    }
  }

  /** The entry that decides; `null` when no pattern matches. */
  find(repo: string): Entry | null {
    let found = this.#remembered.get(repo);
    if (found === undefined) {
      found = search(this.#root, repo);
      this.#remembered.set(repo, found);
    }
    return found === null ? null : found.entry;
  }
}

function newNode<Entry>(): Node<Entry> {
  return { below: new Map(), exact: null, oneBelow: null, allBelow: null, globs: [] };
}

function insert<Entry>(root: Node<Entry>, pattern: string, ranked: Ranked<Entry>): void {
  const parts = pattern.split('/');
  const literals = parts.findIndex((part) => !isLiteral(part));
  const depth = literals < 0 ? parts.length : literals;
  let node = root;
  for (const part of parts.slice(0, depth)) {
    const next: Node<Entry> = node.below.get(part) ?? newNode();
    node.below.set(part, next);
    node = next;
  }
  const rest = parts.slice(depth).join('/');
  if (rest === '') node.exact ??= ranked;
  else if (rest === '*') node.oneBelow ??= ranked;
  else if (rest === '**') node.allBelow ??= ranked;
  else node.globs.push({ ...ranked, glob: compileGlob(pattern) });
}

function search<Entry>(root: Node<Entry>, repo: string): Ranked<Entry> | null {
  const parts = repo.split('/');
  let best: Ranked<Entry> | null = null;
  let node: Node<Entry> | undefined = root;
  for (let depth = 0; node !== undefined; depth += 1) {
    best = better(best, node.allBelow);
    if (parts.length === depth) best = better(best, node.exact);
    if (parts.length === depth + 1) best = better(best, node.oneBelow);
    for (const candidate of node.globs) {
      if (best !== null && best.rank < candidate.rank) break;
      if (candidate.glob.matches(repo)) best = candidate;
    }
    const part: string | undefined = parts[depth];
    node = part === undefined ? undefined : node.below.get(part);
  }
  return best;
}

function better<Entry>(one: Ranked<Entry> | null, other: Ranked<Entry> | null): Ranked<Entry> | null {
  if (one === null || other === null) return one ?? other;
  return other.rank < one.rank ? other : one;
}
