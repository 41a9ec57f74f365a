import type { Accounts, FavouriteKind, Records } from '#metadata';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { TransferRefusal, printable } from './refusal.ts';
import type { Tally } from './tally.ts';
import { ZotDatabase } from './zot-database.ts';
import type { ZotApiKey, ZotUser } from './zot-database.ts';

export interface ZotDatabaseParts {
  readonly records: Records;
  /** Who vouches for a user here (`htpasswd`, `ldap`, `openid:<provider>`); `null` where that cannot be told. */
  readonly originOf: (user: string) => string | null;
  /** Throws, saying why, where scopes mean nothing here. */
  readonly checkScopes: (scopes: readonly string[]) => void;
  readonly tally: Tally;
}

export interface ZotDatabaseReport {
  apiKeys: number;
  /** Keys that were here already. */
  apiKeysPresent: number;
  /** Users whose groups of the last sign-in were taken over. */
  groups: number;
  /** Repositories that came to the lists of users. */
  stars: number;
  bookmarks: number;
  manifests: number;
  tags: number;
}

/**
 * Takes what zot keeps of users, pulls and pushes over from the metadata database of a zot that does not run. Doing it
 * again changes nothing. What cannot be taken is skipped and named.
 */
export async function importZotDatabase(parts: ZotDatabaseParts, path: string): Promise<ZotDatabaseReport> {
  const report = { apiKeys: 0, apiKeysPresent: 0, groups: 0, stars: 0, bookmarks: 0, manifests: 0, tags: 0 };
  const skip = (what: string, why: string): void => parts.tally.skip(printable(what), why);
  const database = new ZotDatabase(path);
  try {
    for (const user of database.users(skip)) await takeUser(parts, user, report);
    for (const { repo, manifests, tags } of database.repositories(skip)) {
      await parts.records.takeOver({
        manifests: manifests.map((known) => ({ repo, ...known })),
        tags: tags.map((known) => ({ repo, ...known })),
      });
      report.manifests += manifests.length;
      report.tags += tags.length;
    }
    return report;
  } finally {
    database.close();
  }
}

async function takeUser(parts: ZotDatabaseParts, user: ZotUser, report: ZotDatabaseReport): Promise<void> {
  const { records, originOf, tally } = parts;
  const { keys, groups, starred, bookmarked } = user;
  const favourites = starred.length + bookmarked.length;
  if (keys.length + groups.length + favourites === 0) return;
  const origin = originOf(user.name);
  if (origin === null) {
    const why = 'the configuration does not say who vouches for this user: see --origin';
    const what = `${keys.length} API keys and ${favourites} favourites`;
    tally.skip(`user ${printable(user.name)} with ${what}`, why);
    return;
  }
  report.stars += await takeFavourites(parts, { origin, user, kind: 'star' });
  report.bookmarks += await takeFavourites(parts, { origin, user, kind: 'bookmark' });
  const { accounts } = records;
  if (user.groups.length > 0 && (await accounts.groupsOf(origin, user.name)).length === 0) {
    await accounts.setGroups(origin, user.name, user.groups);
    report.groups += 1;
  }
  const known = new Set((await accounts.listApiKeys(user.name)).map(({ uuid }) => uuid));
  for (const key of user.keys) {
    if (known.has(key.uuid) || (await accounts.findApiKey(key.hash)) !== null) report.apiKeysPresent += 1;
    else if (await takeKey(parts, accounts, { ...key, owner: user.name, origin })) report.apiKeys += 1;
  }
}

/** Adds to the list here, so that what was starred since the move stays. Gives how many came to it. */
function takeFavourites(
  { records, tally }: ZotDatabaseParts,
  { origin, user, kind }: { readonly origin: string; readonly user: ZotUser; readonly kind: FavouriteKind },
): Promise<number> {
  const repos: RepoName[] = [];
  for (const name of kind === 'star' ? user.starred : user.bookmarked) {
    if (isRepoName(name)) repos.push(name);
    else tally.skip(`${kind} of ${printable(user.name)}: ${printable(name)}`, 'this is no repository name');
  }
  return records.favourites.add({ origin, username: user.name, kind }, repos);
}

async function takeKey(
  { checkScopes, tally }: ZotDatabaseParts,
  accounts: Accounts,
  key: ZotApiKey & { readonly owner: string; readonly origin: string },
): Promise<boolean> {
  const what = `API key ${printable(key.label)} of ${printable(key.owner)}`;
  try {
    if (key.uuid === '') throw new TransferRefusal('it has no id');
    // zot does not look at scopes; here a key does what its scopes say and no more.
    checkScopes(key.scopes);
  } catch (error) {
    tally.skip(what, printable(error instanceof Error ? error.message : String(error)));
    return false;
  }
  await accounts.addApiKey(key);
  return true;
}
