/**
 * What is known of users beyond the configuration: API keys, sessions, groups, and the keys that the processes share.
 * Part of the records, since it exists nowhere else. No secret of a user is in here: of keys and session ids there is
 * a hash. `accounts-contract.suite.ts` is the suite that every implementation must pass.
 */

/** An API key as it is kept: never the key itself. */
export interface ApiKeyRecord {
  /** Lower case hex sha256 of the key without its prefix, as zot keeps it. */
  readonly hash: string;
  readonly owner: string;
  /**
   * Who vouched for the owner when the key was made, such as `htpasswd`: there it is looked up whether
   * there still is one.
   */
  readonly origin: string;
  readonly uuid: string;
  readonly label: string;
  /** Empty: all that the owner may do. */
  readonly scopes: readonly string[];
  readonly createdMs: number;
  /** `null`: never. */
  readonly expiresMs: number | null;
  readonly lastUsedMs: number | null;
  readonly creatorUserAgent: string;
  readonly generatedBy: string;
}

export interface SessionRecord {
  /** Hash of the id in the cookie, so that a read of the records gives nobody a session. */
  readonly idHash: string;
  readonly username: string;
  /** Who vouched for the user: `htpasswd`, `ldap`, `openid:<provider>`. */
  readonly origin: string;
  /** The OpenID provider that signed the user in, '' for passwords. */
  readonly provider: string;
  /** What the provider needs to end its own session, encrypted with a key that only the cookie holds. */
  readonly sealedIdToken: string | null;
  /** Digest of the stored password that it began with: the session ends when that changes. `null` where unknown. */
  readonly proof: string | null;
  readonly createdMs: number;
  readonly expiresMs: number;
}

export interface ApiKeyUse {
  readonly hash: string;
  readonly usedMs: number;
}

/** Look-ups, in every process, always current. */
export interface AccountsReader {
  findApiKey(hash: string): Promise<ApiKeyRecord | null>;
  /** Oldest first. */
  listApiKeys(owner: string): Promise<ApiKeyRecord[]>;
  /** Also one that has expired but was not removed yet. */
  findSession(idHash: string): Promise<SessionRecord | null>;
  /** Groups of the last sign-in of a user whom the origin vouches for; empty when there was none. */
  groupsOf(origin: string, username: string): Promise<readonly string[]>;
  /** A key that all processes share; `null` when nobody made one. */
  findSharedKey(name: string): Promise<Buffer | null>;
}

/** Changes, which the keeper commits. */
export interface AccountsWriter {
  addApiKey(key: ApiKeyRecord): Promise<void>;
  /** Gives whether the owner had such a key. */
  removeApiKey(owner: string, uuid: string): Promise<boolean>;
  /** Batched; never awaited by a request. */
  touchApiKeys(uses: readonly ApiKeyUse[]): Promise<void>;
  /** Adds a session; beyond a bound for each user the ones that expire first end. */
  addSession(session: SessionRecord): Promise<void>;
  /** Lets a session expire later; one that ended meanwhile stays ended. */
  extendSession(idHash: string, expiresMs: number): Promise<void>;
  removeSession(idHash: string): Promise<void>;
  /** Replaces, never adds to, the groups of a user (CVE-2025-23208). */
  setGroups(origin: string, username: string, groups: readonly string[]): Promise<void>;
  /** Keeps a shared key unless there is one; gives the one that is kept. */
  keepSharedKey(name: string, key: Buffer): Promise<Buffer>;
  /** Removes the shared keys whose names sort from `from` to before `before`: keys that nobody uses any more. */
  removeSharedKeys(from: string, before: string): Promise<void>;
  /** Removes sessions that have expired. Expired API keys stay, so that their owner sees them. */
  removeExpired(nowMs: number): Promise<void>;
}

export type Accounts = AccountsReader & AccountsWriter;
