import { compileGlob } from '#lib/doublestar';
import type { Glob } from '#lib/doublestar';
import { expandBraces } from '#lib/doublestar-syntax';
import { WeightedLru } from '#lib/weighted-lru';
import { comparePatterns, isLiteral } from './pattern-order.ts';

/** An entry and its place in the order of all patterns; the lowest that matches wins. */
interface Ranked<Entry> {
  readonly rank: number;
  readonly pattern: string;
  readonly lengthBytes: number;
  readonly entry: Entry;
}

/** Hears that two equally long patterns match a repository, the first of which decides. */
export type TieReport = (repo: string, decides: string, other: string) => void;

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
  #reportTie: TieReport;
  #remembered = new WeightedLru<string, Ranked<Entry> | null>(REMEMBERED_MAX);

  /** Patterns are globs as `#lib/doublestar` has them, read in lower case as zot does. Throws `GlobSyntaxError`. */
  constructor(
    entries: Iterable<readonly [pattern: string, entry: Entry]>,
    reportTie: TieReport = () => undefined,
  ) {
    this.#reportTie = reportTie;
    const ordered = [...entries]
      .map(([pattern, entry]) => ({ pattern: pattern.toLowerCase(), entry }))
      .sort((one, other) => comparePatterns(one.pattern, other.pattern));
    for (const [rank, { pattern, entry }] of ordered.entries()) {
      for (const alternative of expandBraces(pattern))
        insert(this.#root, alternative, { rank, pattern, lengthBytes: Buffer.byteLength(pattern), entry });
    }
  }

  /** The entry that decides; `null` when no pattern matches. */
  find(repo: string): Entry | null {
    let found = this.#remembered.get(repo);
    if (found === undefined) {
      const { best, tied } = search(this.#root, repo);
      if (best !== null && tied !== null) this.#reportTie(repo, best.pattern, tied.pattern);
      found = best;
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

function search<Entry>(root: Node<Entry>, repo: string): Contest<Entry> {
  const parts = repo.split('/');
  const contest = new Contest<Entry>();
  let node: Node<Entry> | undefined = root;
  for (let depth = 0; node !== undefined; depth += 1) {
    contest.enter(node.allBelow);
    if (parts.length === depth) contest.enter(node.exact);
    if (parts.length === depth + 1) contest.enter(node.oneBelow);
    for (const candidate of node.globs) {
      if (contest.best !== null && candidate.lengthBytes < contest.best.lengthBytes) break;
      if (candidate.glob.matches(repo)) contest.enter(candidate);
    }
    const part: string | undefined = parts[depth];
    node = part === undefined ? undefined : node.below.get(part);
  }
  return contest;
}

/** Finds the best of the patterns that match, and whether chance would have had a say in zot. */
class Contest<Entry> {
  best: Ranked<Entry> | null = null;
  tied: Ranked<Entry> | null = null;

  enter(candidate: Ranked<Entry> | null): void {
    if (candidate === null || candidate.rank === this.best?.rank) return;
    const isBetter = this.best === null || candidate.rank < this.best.rank;
    const loser = isBetter ? this.best : candidate;
    if (isBetter) this.best = candidate;
    if (loser?.lengthBytes === this.best?.lengthBytes) this.tied = loser;
    else if (isBetter) this.tied = null;
  }
}
