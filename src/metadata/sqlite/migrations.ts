import type { DatabaseSync } from 'node:sqlite';

/** One step between two versions of a schema. `down` is absent where going back would lose data. */
export interface Migration {
  readonly up: string;
  readonly down?: string;
}

/** The version a database has: the number of migrations applied to it. */
export function schemaVersion(db: DatabaseSync): number {
  const row = db.prepare('PRAGMA user_version').get();
  return Number(row?.user_version ?? 0);
}

/**
 * Brings a database to a version, up or down, each step in a transaction of its own. Throws where a step has no way
 * down.
 */
export function migrate(
  db: DatabaseSync,
  migrations: readonly Migration[],
  target = migrations.length,
): void {
  let version = schemaVersion(db);
  while (version !== target) {
    const next = version < target ? version + 1 : version - 1;
    const step = version < target ? migrations[version]?.up : migrations[version - 1]?.down;
    if (step === undefined)
      throw new Error(`the schema cannot be changed from version ${version} to ${next}`);
    db.exec('BEGIN IMMEDIATE');
    try {
      db.exec(step);
      db.exec(`PRAGMA user_version = ${next}`);
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
    version = next;
  }
}
