import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type {
  Accounts,
  AccountsReader,
  ApiKeyRecord,
  ApiKeyUse,
  SessionRecord,
} from '../accounts-contract.ts';
import { Transactions } from './transactions.ts';
import { whenFree } from './when-free.ts';

type Row = Record<string, SQLOutputValue>;

/** A user who signs in more often ends the session that would expire first. */
const SESSIONS_PER_USER_MAX = 100;

/** Look-ups of accounts, in any process: each sees what the keeper committed before. */
export class SqliteAccountsReader implements AccountsReader {
  protected readonly db: DatabaseSync;
  #apiKey: StatementSync;
  #apiKeys: StatementSync;
  #session: StatementSync;
  #groups: StatementSync;
  #sharedKey: StatementSync;

  constructor(db: DatabaseSync) {
    this.db = db;
    this.#apiKey = db.prepare('SELECT * FROM api_keys WHERE hash = ?');
    this.#apiKeys = db.prepare('SELECT * FROM api_keys WHERE owner = ? ORDER BY created_ms, uuid');
    this.#session = db.prepare('SELECT * FROM sessions WHERE id_hash = ?');
    this.#groups = db.prepare('SELECT groups FROM user_groups WHERE origin = ? AND username = ?');
    this.#sharedKey = db.prepare('SELECT key FROM shared_keys WHERE name = ?');
  }

  async findApiKey(hash: string): Promise<ApiKeyRecord | null> {
    const row = await whenFree(() => this.#apiKey.get(hash));
    return row === undefined ? null : apiKeyOf(row);
  }

  async listApiKeys(owner: string): Promise<ApiKeyRecord[]> {
    return (await whenFree(() => this.#apiKeys.all(owner))).map(apiKeyOf);
  }

  async findSession(idHash: string): Promise<SessionRecord | null> {
    const row = await whenFree(() => this.#session.get(idHash));
    return row === undefined ? null : sessionOf(row);
  }

  async groupsOf(origin: string, username: string): Promise<readonly string[]> {
    const row = await whenFree(() => this.#groups.get(origin, username));
    return row === undefined ? [] : listOf(row.groups);
  }

  async findSharedKey(name: string): Promise<Buffer | null> {
    const row = await whenFree(() => this.#sharedKey.get(name));
    return row === undefined ? null : Buffer.from(row.key as Uint8Array);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}

/** Accounts in the keeper, the one writer. */
export class SqliteAccounts extends SqliteAccountsReader implements Accounts {
  #addApiKey: StatementSync;
  #removeApiKey: StatementSync;
  #touchApiKey: StatementSync;
  #addSession: StatementSync;
  #endOldest: StatementSync;
  #extendSession: StatementSync;
  #removeSession: StatementSync;
  #setGroups: StatementSync;
  #keepSharedKey: StatementSync;
  #removeSharedKeys: StatementSync;
  #removeExpired: StatementSync;
  #transactions: Transactions;

  constructor(db: DatabaseSync) {
    super(db);
    this.#transactions = new Transactions(db);
    this.#addApiKey = db.prepare('INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#removeApiKey = db.prepare('DELETE FROM api_keys WHERE owner = ? AND uuid = ?');
    this.#touchApiKey = db.prepare(
      'UPDATE api_keys SET last_used_ms = max(coalesce(last_used_ms, 0), ?2) WHERE hash = ?1',
    );
    this.#addSession = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#endOldest = db.prepare(`
      DELETE FROM sessions WHERE id_hash IN (
        SELECT id_hash FROM sessions WHERE username = ? ORDER BY expires_ms DESC LIMIT -1 OFFSET ?)`);
    this.#extendSession = db.prepare(
      'UPDATE sessions SET expires_ms = max(expires_ms, ?2) WHERE id_hash = ?1',
    );
    this.#removeSession = db.prepare('DELETE FROM sessions WHERE id_hash = ?');
    this.#setGroups = db.prepare('INSERT OR REPLACE INTO user_groups VALUES (?, ?, ?)');
    this.#keepSharedKey = db.prepare('INSERT OR IGNORE INTO shared_keys VALUES (?, ?)');
    this.#removeSharedKeys = db.prepare('DELETE FROM shared_keys WHERE name >= ? AND name < ?');
    this.#removeExpired = db.prepare('DELETE FROM sessions WHERE expires_ms <= ?');
  }

  async addApiKey(key: ApiKeyRecord): Promise<void> {
    const { hash, owner, origin, uuid, label, scopes, createdMs } = key;
    const { expiresMs, lastUsedMs, creatorUserAgent, generatedBy } = key;
    const start = [hash, owner, origin, uuid, label, JSON.stringify(scopes), createdMs] as const;
    this.#addApiKey.run(...start, expiresMs, lastUsedMs, creatorUserAgent, generatedBy);
  }

  async removeApiKey(owner: string, uuid: string): Promise<boolean> {
    return this.#removeApiKey.run(owner, uuid).changes > 0;
  }

  async touchApiKeys(uses: readonly ApiKeyUse[]): Promise<void> {
    this.#transactions.run(() => {
      for (const { hash, usedMs } of uses) this.#touchApiKey.run(hash, usedMs);
    });
  }

  async addSession(session: SessionRecord): Promise<void> {
    const { idHash, username, origin, provider, sealedIdToken, proof, createdMs, expiresMs } = session;
    this.#transactions.run(() => {
      this.#addSession.run(idHash, username, origin, provider, sealedIdToken, proof, createdMs, expiresMs);
      this.#endOldest.run(username, SESSIONS_PER_USER_MAX);
    });
  }

  async extendSession(idHash: string, expiresMs: number): Promise<void> {
    this.#extendSession.run(idHash, expiresMs);
  }

  async removeSession(idHash: string): Promise<void> {
    this.#removeSession.run(idHash);
  }

  async setGroups(origin: string, username: string, groups: readonly string[]): Promise<void> {
    this.#setGroups.run(origin, username, JSON.stringify(groups));
  }

  async keepSharedKey(name: string, key: Buffer): Promise<Buffer> {
    this.#keepSharedKey.run(name, key);
    return (await this.findSharedKey(name)) ?? key;
  }

  async removeSharedKeys(from: string, before: string): Promise<void> {
    this.#removeSharedKeys.run(from, before);
  }

  async removeExpired(nowMs: number): Promise<void> {
    this.#removeExpired.run(nowMs);
  }
}

function apiKeyOf(row: Row): ApiKeyRecord {
  return {
    hash: String(row.hash),
    owner: String(row.owner),
    origin: String(row.origin),
    uuid: String(row.uuid),
    label: String(row.label),
    scopes: listOf(row.scopes),
    createdMs: Number(row.created_ms),
    expiresMs: row.expires_ms as number | null,
    lastUsedMs: row.last_used_ms as number | null,
    creatorUserAgent: String(row.creator_user_agent),
    generatedBy: String(row.generated_by),
  };
}

function sessionOf(row: Row): SessionRecord {
  return {
    idHash: String(row.id_hash),
    username: String(row.username),
    origin: String(row.origin),
    provider: String(row.provider),
    sealedIdToken: row.sealed_id_token as string | null,
    proof: row.proof as string | null,
    createdMs: Number(row.created_ms),
    expiresMs: Number(row.expires_ms),
  };
}

function listOf(json: SQLOutputValue | undefined): readonly string[] {
  const list: unknown = JSON.parse(String(json));
  return Array.isArray(list) ? list.map(String) : [];
}
