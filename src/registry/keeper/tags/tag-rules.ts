import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';

/** What the configuration says of tags: how long their changes can be undone, and which never change. */
export interface TagRules {
  /** How long what lost its tag or was deleted is held, milliseconds; 0: not at all, and no history is kept. */
  undoMs(repo: RepoName): number;
  /** The shortest time of those that are not 0; `null`: nothing is held anywhere. */
  readonly shortestUndoMs: number | null;
  /** Whether some tags of a repository are immutable. */
  guards(repo: RepoName): boolean;
  /** How firmly a tag stands once it was pushed; `null`: it may be moved and deleted. */
  immutability(repo: RepoName, tag: Tag): Immutability | null;
}

export interface Immutability {
  /** Whether it may be deleted all the same. */
  readonly deletable: boolean;
}

export const NO_TAG_RULES: TagRules = {
  undoMs: () => 0,
  shortestUndoMs: null,
  guards: () => false,
  immutability: () => null,
};

/** Says what of a repository is held, so that nothing collects it. */
export interface Holdings {
  isHeld(repo: RepoName, digest: Digest): Promise<boolean>;
}
