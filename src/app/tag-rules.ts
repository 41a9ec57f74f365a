import { RE2JS } from 're2js';
import type { Config, StoreConfig } from '#config';
import { compileGlob } from '#lib/doublestar';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { Immutability, TagRules } from '#registry';
import type { Storage } from '#storage';

/** The rules of one store, compiled once for each configuration. */
interface StoreRules {
  readonly undoMs: number;
  readonly immutable: readonly ImmutableRule[];
}

interface ImmutableRule extends Immutability {
  meansRepository(repo: RepoName): boolean;
  meansTag(tag: Tag): boolean;
}

/** What a configuration says of the tags of each store. */
export function tagRules(config: Config, storage: Storage): TagRules {
  const stores = new Map<string, StoreRules>([['', compile(config.storage)]]);
  for (const [route, store] of Object.entries(config.storage.subPaths)) stores.set(route, compile(store));
  const none: StoreRules = { undoMs: 0, immutable: [] };
  const of = (repo: RepoName): StoreRules => stores.get(storage.storeOf(repo).route) ?? none;
  const times = [...stores.values()].map(({ undoMs }) => undoMs).filter((undoMs) => undoMs > 0);
  return {
    shortestUndoMs: times.length === 0 ? null : Math.min(...times),
    undoMs: (repo) => of(repo).undoMs,
    guards: (repo) => of(repo).immutable.some((rule) => rule.meansRepository(repo)),
    immutability(repo, tag) {
      const found = of(repo).immutable.filter((rule) => rule.meansRepository(repo) && rule.meansTag(tag));
      return found.length === 0 ? null : { deletable: found.every((rule) => rule.deletable) };
    },
  };
}

function compile({ undo, immutableTags }: Pick<StoreConfig, 'undo' | 'immutableTags'>): StoreRules {
  return { undoMs: undo ?? 0, immutable: immutableTags.map(compileRule) };
}

function compileRule(rule: StoreConfig['immutableTags'][number]): ImmutableRule {
  const globs = rule.repositories.map((pattern) => compileGlob(pattern));
  const tags = rule.tags.map((expression) => RE2JS.compile(expression));
  const excluded = rule.exclude.map((expression) => RE2JS.compile(expression));
  const finds = (expressions: readonly RE2JS[], tag: Tag): boolean =>
    expressions.some((expression) => expression.matcher(tag).find());
  return {
    deletable: rule.allowDelete,
    meansRepository: (repo) => globs.some((glob) => glob.matches(repo)),
    meansTag: (tag) => (tags.length === 0 || finds(tags, tag)) && !finds(excluded, tag),
  };
}
