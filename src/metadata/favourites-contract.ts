/**
 * The repositories that users starred and bookmarked. Part of the records, since they exist nowhere else. They go with
 * a repository that is renamed, and end with one that is removed.
 * `favourites-contract.suite.ts` is the suite that every implementation must pass.
 */
import type { RepoName } from '#oci/repo-name';

export type FavouriteKind = 'star' | 'bookmark';

/** A list of one user. */
export interface FavouriteList {
  /** Who vouches for the user: `htpasswd`, `ldap`, `openid:<provider>`. */
  readonly origin: string;
  readonly username: string;
  readonly kind: FavouriteKind;
}

export interface Favourites {
  /** Adds those that are not on the list yet, and gives how many these are; not in one go when there are many. */
  add(list: FavouriteList, repos: readonly RepoName[]): Promise<number>;
  /** By name, behind `after`. */
  list(list: FavouriteList, page: { readonly after: string; readonly limit: number }): Promise<RepoName[]>;
}
