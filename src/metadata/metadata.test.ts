import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parseRepoName } from '#oci/repo-name';
import { REPO, change, entry, image } from './index-samples.suite.ts';
import { openIndexForReading, openIndexForWriting, openRecords } from './metadata.ts';

const one = image('one');
const first = { after: '', limit: 10 };

describe('the databases of a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-metadata-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const path = (name: string): string => join(folder, name);

  /** An index with one tag, closed. */
  const fill = async (): Promise<void> => {
    const index = openIndexForWriting(folder, assert.fail);
    await index.applyChanges([change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] })]);
    await index.close();
  };

  /** Opens the index, and gives why it was begun anew, if it was. */
  const open = async (): Promise<{ reasons: string[]; tags: string[] }> => {
    const reasons: string[] = [];
    const index = openIndexForWriting(folder, (reason) => reasons.push(reason));
    const tags = await index.listTags(REPO, first);
    await index.close();
    return { reasons, tags };
  };

  test('keep the index over a restart, without a word', async () => {
    await fill();
    assert.deepEqual(await open(), { reasons: [], tags: ['v1'] });
    const reader = openIndexForReading(folder);
    assert.deepEqual(await reader.listTags(REPO, first), ['v1']);
    await reader.close();
  });

  test('keep what was committed when the process is gone before it could close them', async () => {
    const index = openIndexForWriting(folder, assert.fail);
    await index.applyChanges([change({ addedEntries: [entry(0, one, 'v1')], addedManifests: [one] })]);
    const copy = await mkdtemp(join(tmpdir(), 'zot-metadata-'));
    // What is on the disk at this moment is what kill -9 leaves.
    for (const name of ['index.db', 'index.db-wal'])
      await writeFile(join(copy, name), await readFile(path(name)));
    await index.close();
    const again = openIndexForWriting(copy, assert.fail);
    assert.deepEqual(await again.listTags(REPO, first), ['v1']);
    await again.close();
    await rm(copy, { recursive: true });
  });

  test('begin a damaged, foreign or newer index anew, and say why', async () => {
    const damages: [RegExp, () => Promise<void>][] = [
      [
        /not a database/,
        () => writeFile(path('index.db'), 'no database, but long enough to be looked at'.repeat(200)),
      ],
      [/malformed|not a database/, () => damage('index.db')],
      [/newer/, async () => exec('index.db', 'PRAGMA user_version = 99')],
      [/no such table/, async () => exec('index.db', 'DROP TABLE entries')],
      [/already exists/, async () => exec('index.db', 'PRAGMA user_version = 0')],
    ];
    for (const [why, spoil] of damages) {
      await fill();
      await spoil();
      const { reasons, tags } = await open();
      assert.equal(reasons.length, 1, String(why));
      assert.match(reasons[0] ?? '', why);
      assert.deepEqual(tags, []);
      assert.deepEqual(await open(), { reasons: [], tags: [] });
    }
    // A file without a byte is a new database.
    await fill();
    for (const name of ['index.db', 'index.db-wal']) await writeFile(path(name), '');
    assert.deepEqual(await open(), { reasons: [], tags: [] });
  });

  test('do not throw an index away that is only out of reach', async () => {
    await fill();
    const held = new DatabaseSync(path('index.db'));
    held.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE x (y INTEGER)');
    assert.throws(() => openIndexForWriting(folder, assert.fail), /locked|busy/);
    held.exec('ROLLBACK');
    held.close();
    await mkdir(path('folder/index.db'), { recursive: true });
    assert.throws(() => openIndexForWriting(path('folder'), assert.fail), /unable to open/);
    assert.throws(() => openIndexForWriting(path('none'), assert.fail), /unable to open/);
    assert.deepEqual(await open(), { reasons: [], tags: ['v1'] });
  });

  test(
    'do not throw an index away that may not be read',
    { skip: process.getuid?.() === 0 && 'root may read all' },
    async () => {
      await fill();
      await chmod(path('index.db'), 0);
      assert.throws(() => openIndexForWriting(folder, assert.fail), /unable to open/);
      await chmod(path('index.db'), 0o600);
      assert.deepEqual(await open(), { reasons: [], tags: ['v1'] });
    },
  );

  test('cannot be opened for reading before they were made', () => {
    assert.throws(() => openIndexForReading(folder));
    assert.throws(() => openIndexForReading(join(folder, 'none')));
  });

  test('refuse records that are damaged or newer, and leave them as they are', async () => {
    const records = openRecords(folder);
    await records.addPushes([{ repo: parseRepoName('a'), digest: one.digest, tags: [], pushedMs: 1 }]);
    await records.close();
    exec('records.db', 'PRAGMA user_version = 99');
    const before = await readFile(path('records.db'));
    assert.throws(() => openRecords(folder), /newer/);
    assert.ok((await readFile(path('records.db'))).equals(before));
    exec('records.db', 'PRAGMA user_version = 1');
    await damage('records.db');
    const damaged = await stat(path('records.db'));
    assert.throws(() => openRecords(folder), /malformed|not a database/);
    assert.equal((await stat(path('records.db'))).size, damaged.size);
    await writeFile(path('records.db'), 'nonsense'.repeat(1000));
    assert.throws(() => openRecords(folder), /not a database/);
    assert.equal(await readFile(path('records.db'), 'utf8'), 'nonsense'.repeat(1000));
  });

  const exec = (name: string, sql: string): void => {
    const db = new DatabaseSync(path(name));
    db.exec(sql);
    db.close();
  };

  /** Overwrites the first page behind its header, where the tables are named. */
  const damage = async (name: string): Promise<void> => {
    exec(name, 'PRAGMA wal_checkpoint(TRUNCATE)');
    const bytes = await readFile(path(name));
    bytes.fill(0xa5, 100, 4096);
    await writeFile(path(name), bytes);
  };
});
