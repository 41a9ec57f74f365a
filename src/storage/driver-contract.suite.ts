/**
 * What every storage driver must do, as a suite of node:test. Whoever writes a driver runs it in a test file of theirs:
 *
 *     driverContract('mine', async () => {
 *       const driver = new MyDriver(await emptyPlace());
 *       return { driver, close: () => driver.close() };
 *     });
 *
 * The store must be empty when it is opened. It is opened once; each test works in a folder of its own.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { StorageError } from './driver.ts';
import { folderCases, sharingCases } from './driver-names.suite.ts';
import type { FileReader, FileWriter, PutOptions, StorageDriver, StorageFault } from './driver.ts';

export interface OpenedDriver {
  readonly driver: StorageDriver;
  /** Closes the driver and removes what the test made. */
  close(): Promise<void>;
}

/** A folder of its own for one test, with what the tests do most. */
class Place {
  readonly driver: StorageDriver;
  readonly folder: string;
  #staged = 0;

  constructor(driver: StorageDriver, folder: string) {
    this.driver = driver;
    this.folder = folder;
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  options(more: Partial<PutOptions> = {}): PutOptions {
    this.#staged += 1;
    return { durable: false, stagingPath: this.path(`.staging/${this.#staged}`), ...more };
  }

  put(name: string, content: string | Buffer | Buffer[], more: Partial<PutOptions> = {}) {
    const chunks = Array.isArray(content) ? content : [Buffer.from(content)];
    return this.driver.put(this.path(name), chunks, this.options(more));
  }

  link(from: string, to: string, more: Partial<PutOptions> = {}): Promise<void> {
    return this.driver.link(this.path(from), this.path(to), this.options(more));
  }

  async text(name: string): Promise<string | null> {
    return (await this.driver.read(this.path(name), 64 * 1024 * 1024))?.toString() ?? null;
  }

  async list(name = ''): Promise<string[]> {
    const found: string[] = [];
    for await (const entry of this.driver.list(name === '' ? this.folder : this.path(name))) {
      found.push(entry.kind === 'folder' ? `${entry.name}/` : entry.name);
    }
    return found.sort();
  }

  async append(writer: FileWriter, ...texts: string[]): Promise<void> {
    for (const text of texts) await writer.write(Buffer.from(text));
    await writer.close();
  }

  async reader(name: string): Promise<FileReader> {
    const reader = await this.driver.openReader(this.path(name));
    assert.ok(reader, `${name} cannot be opened`);
    return reader;
  }

  /** Asserts that the call fails with one of the faults, and that nothing is left where bytes are staged. */
  async fails(call: Promise<unknown>, ...faults: StorageFault[]): Promise<void> {
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof StorageError, `it threw ${String(error)}`);
      assert.ok(faults.includes(error.fault), `the fault is ${error.fault}, not ${faults.join(' or ')}`);
      return true;
    });
    await this.stagedNothing();
  }

  async stagedNothing(): Promise<void> {
    assert.deepEqual(await this.list('.staging'), [], 'bytes are left where they were staged');
  }
}

type Case = (title: string, work: (place: Place) => Promise<void>) => void;

/** Declares the suite. `open` gives an empty store. */
export function driverContract(name: string, open: () => Promise<OpenedDriver>): void {
  describe(`the ${name} driver keeps the contract of storage drivers`, () => {
    let opened: OpenedDriver;
    let count = 0;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());
    const driverTest: Case = (title, work) => {
      test(title, { timeout: 60_000 }, () => {
        count += 1;
        return work(new Place(opened.driver, `case-${count}`));
      });
    };
    absenceCases(driverTest);
    putCases(driverTest);
    conditionalCases(driverTest);
    raceCases(driverTest);
    readerCases(driverTest);
    writerCases(driverTest);
    listCases(driverTest);
    moveCases(driverTest);
    linkCases(driverTest);
    sharingCases(driverTest);
    folderCases(driverTest);
    deleteCases(driverTest);
    nameCases(driverTest);
  });
}

function absenceCases(driverTest: Case): void {
  driverTest('what is not there is null, nothing or false, and no fault', async (place) => {
    const { driver } = place;
    for (const path of ['none', 'no/folder/either'].map((name) => place.path(name))) {
      assert.equal(await driver.stat(path), null);
      assert.equal(await driver.read(path, 100), null);
      assert.equal(await driver.openReader(path), null);
      assert.equal(await driver.openWriter(path), null);
      assert.equal(await driver.delete(path, { durable: true }), false);
    }
    assert.deepEqual(await place.list('none'), []);
  });

  driverTest('a folder is no file', async (place) => {
    const { driver } = place;
    await place.put('folder/file', 'content');
    const folder = place.path('folder');
    assert.equal(await driver.stat(folder), null);
    assert.equal(await driver.read(folder, 100), null);
    assert.equal(await driver.openReader(folder), null);
    assert.equal(await driver.openWriter(folder), null);
    assert.equal(await driver.delete(folder, { durable: false }), false);
    assert.equal(await place.text('folder/file'), 'content');
  });

  driverTest('a file is no folder', async (place) => {
    const { driver } = place;
    await place.put('file', 'content');
    const below = place.path('file/below');
    assert.equal(await driver.stat(below), null);
    assert.equal(await driver.openReader(below), null);
    assert.equal(await driver.openWriter(below), null);
    assert.equal(await driver.delete(below, { durable: false }), false);
    assert.deepEqual(await place.list('file'), []);
  });
}

function putCases(driverTest: Case): void {
  driverTest('put makes the folders, joins the chunks and gives what stat gives', async (place) => {
    const before = Date.now();
    const chunks = ['one ', '', 'two ', 'three'].map((text) => Buffer.from(text));
    const stat = await place.put('deep/er/file', chunks);
    assert.equal(await place.text('deep/er/file'), 'one two three');
    assert.deepEqual(await place.driver.stat(place.path('deep/er/file')), stat);
    assert.equal(stat.sizeBytes, 13);
    assert.ok(Math.abs(stat.modifiedMs - before) < 60_000, 'the time is not in milliseconds since the epoch');
    await place.stagedNothing();
  });

  driverTest(
    'put replaces a longer file as a whole, and no two versions in a row have one fingerprint',
    async (place) => {
      const seen: string[] = [];
      for (const text of ['a long first version', 'short', 'short', 'other']) {
        const { fingerprint } = await place.put('file', text, { durable: seen.length % 2 === 0 });
        assert.equal(await place.text('file'), text);
        assert.notEqual(fingerprint, seen.at(-1));
        seen.push(fingerprint);
      }
    },
  );

  driverTest('an empty file is a file', async (place) => {
    for (const chunks of [[], [Buffer.alloc(0)]]) {
      const stat = await place.put('empty', chunks, { durable: true });
      assert.equal(stat.sizeBytes, 0);
      assert.equal(await place.text('empty'), '');
    }
    const reader = await place.reader('empty');
    assert.equal(await reader.read(Buffer.alloc(10), 0), 0);
    await reader.close();
    assert.ok((await place.list()).includes('empty'));
  });

  driverTest('20 MB in 1,500 chunks come back as they were', async (place) => {
    const whole = randomBytes(20_000_000);
    const chunks = Array.from({ length: 1500 }, (_, at) => whole.subarray(at * 13_334, (at + 1) * 13_334));
    assert.equal(Buffer.concat(chunks).length, whole.length);
    const stat = await place.put('large', chunks, { durable: true });
    assert.equal(stat.sizeBytes, whole.length);
    const read = await place.driver.read(place.path('large'), whole.length);
    assert.equal(sha256(read ?? Buffer.alloc(0)), sha256(whole));
  });

  driverTest(
    'the bytes of a put are taken: changing the buffer afterwards changes nothing',
    async (place) => {
      const buffer = Buffer.from('before');
      await place.put('file', [buffer]);
      buffer.write('after!');
      assert.equal(await place.text('file'), 'before');
    },
  );

  driverTest('read refuses a file that is larger than asked for', async (place) => {
    await place.put('file', '0123456789');
    assert.equal((await place.driver.read(place.path('file'), 10))?.length, 10);
    await place.fails(place.driver.read(place.path('file'), 9), 'invalid');
  });

  driverTest('put over a folder is refused and leaves the folder', async (place) => {
    await place.put('folder/file', 'content');
    // Object stores know no folders: there both names can be.
    const outcome = await place.put('folder', 'text').then(
      () => 'stored',
      (error: unknown) => error,
    );
    if (outcome !== 'stored')
      assert.ok(outcome instanceof StorageError && outcome.fault === 'exists', String(outcome));
    assert.equal(await place.text('folder/file'), 'content');
    await place.stagedNothing();
  });
}

function conditionalCases(driverTest: Case): void {
  driverTest('a conditional put replaces the version it was made from, and no other', async (place) => {
    const first = await place.put('file', 'first', { ifFingerprint: null });
    await place.fails(place.put('file', 'again', { ifFingerprint: null }), 'conflict');
    const second = await place.put('file', 'second', { ifFingerprint: first.fingerprint });
    await place.fails(place.put('file', 'third', { ifFingerprint: first.fingerprint }), 'conflict');
    await place.fails(
      place.put('none', 'text', { ifFingerprint: first.fingerprint, durable: true }),
      'conflict',
    );
    assert.equal(await place.text('file'), 'second');
    assert.equal(await place.text('none'), null);
    assert.equal((await place.driver.stat(place.path('file')))?.fingerprint, second.fingerprint);
  });

  driverTest('a fingerprint is that of the file until the file changes', async (place) => {
    const { fingerprint } = await place.put('file', 'text');
    await place.text('file');
    await (await place.reader('file')).close();
    assert.equal((await place.driver.stat(place.path('file')))?.fingerprint, fingerprint);
    const writer = await place.driver.openWriter(place.path('file'));
    assert.ok(writer);
    await place.append(writer, 'more');
    assert.notEqual((await place.driver.stat(place.path('file')))?.fingerprint, fingerprint);
  });

  driverTest(
    'of conditional puts at the same time one wins, where the driver says that it can tell',
    async (place) => {
      const { fingerprint } = await place.put('file', 'start');
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, at) => place.put('file', `by ${at}`, { ifFingerprint: fingerprint })),
      );
      const won = results.flatMap((result, at) => (result.status === 'fulfilled' ? [`by ${at}`] : []));
      if (place.driver.flags.conditionalPut) assert.equal(won.length, 1);
      assert.ok(
        won.includes((await place.text('file')) ?? ''),
        'the file is not by one that was told it had won',
      );
      for (const result of results) {
        if (result.status === 'rejected') assert.equal((result.reason as StorageError).fault, 'conflict');
      }
      await place.stagedNothing();
    },
  );
}

function raceCases(driverTest: Case): void {
  driverTest('a reader during puts sees one version or another, never a mixture or a gap', async (place) => {
    const version = (at: number): Buffer => Buffer.alloc(200_000 + at * 100, at % 251);
    await place.put('file', [version(0)]);
    let done = false;
    const write = async (): Promise<void> => {
      for (let at = 1; at <= 100; at += 1) await place.put('file', [version(at)]);
      done = true;
    };
    const read = async (): Promise<number> => {
      let reads = 0;
      for (; !done; reads += 1) {
        const bytes =
          reads % 2 === 0 ? await place.driver.read(place.path('file'), 1e6) : await readIfUnchanged(place);
        if (bytes === 'changed') continue;
        assert.ok(bytes, 'the file was gone for a moment');
        const at = (bytes.length - 200_000) / 100;
        assert.ok(bytes.equals(version(at)), `${bytes.length} bytes are not those of one version`);
      }
      return reads;
    };
    const [, ...reads] = await Promise.all([write(), read(), read(), read()]);
    assert.ok(reads.every((count) => count > 0));
  });

  driverTest('of many puts to one new name at once one remains, whole', async (place) => {
    const content = (at: number): Buffer => Buffer.alloc(50_000 + at, at);
    await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        place.put('a/b/c/file', [content(at)], { durable: at % 5 === 0 }),
      ),
    );
    const bytes = await place.driver.read(place.path('a/b/c/file'), 1e6);
    assert.ok(bytes?.equals(content(bytes.length - 50_000)));
    await place.stagedNothing();
  });
}

function readerCases(driverTest: Case): void {
  driverTest('a reader gives any range, less only at the end, and nothing behind it', async (place) => {
    await place.put('file', '0123456789');
    const reader = await place.reader('file');
    const range = async (position: number, length: number): Promise<string> => {
      const buffer = Buffer.alloc(length, '-');
      const filled = await reader.read(buffer, position);
      return buffer.subarray(0, filled).toString();
    };
    assert.equal(reader.sizeBytes, 10);
    assert.equal(await range(0, 10), '0123456789');
    assert.equal(await range(3, 4), '3456');
    assert.equal(await range(7, 4), '789');
    assert.equal(await range(9, 1), '9');
    assert.equal(await range(10, 4), '');
    assert.equal(await range(1_000_000, 4), '');
    assert.equal(await range(4, 0), '');
    // Positions are the caller's: the same range again, and two at once.
    assert.deepEqual(await Promise.all([range(0, 3), range(5, 3)]), ['012', '567']);
    await reader.close();
  });

  driverTest(
    'an open reader goes on with the bytes it was opened on, or says that it cannot',
    async (place) => {
      await place.put('file', 'old content');
      const reader = await place.reader('file');
      await place.put('file', 'new');
      const buffer = Buffer.alloc(11);
      const filled = await unlessChanged(reader.read(buffer, 0));
      if (filled !== 'changed') assert.equal(buffer.subarray(0, filled).toString(), 'old content');
      await reader.close();
    },
  );
}

function writerCases(driverTest: Case): void {
  driverTest('a writer appends, and a later one goes on where it ended', async (place) => {
    const path = place.path('uploads/one');
    const writer = await place.driver.createWriter(path);
    assert.equal(writer.sizeBytes, 0);
    await writer.write(Buffer.from('one '));
    await writer.write(Buffer.alloc(0));
    await writer.write(Buffer.from('two '));
    assert.equal(writer.sizeBytes, 8);
    await writer.sync();
    await writer.close();
    assert.equal((await place.driver.stat(path))?.sizeBytes, 8);
    const later = await place.driver.openWriter(path);
    assert.ok(later);
    assert.equal(later.sizeBytes, 8);
    await place.append(later, 'three');
    assert.equal(later.sizeBytes, 13);
    assert.equal(await place.text('uploads/one'), 'one two three');
  });

  driverTest('createWriter makes an empty file at once and refuses one that is there', async (place) => {
    const path = place.path('uploads/one');
    const writer = await place.driver.createWriter(path);
    assert.equal((await place.driver.stat(path))?.sizeBytes, 0);
    await place.append(writer, 'text');
    await place.fails(place.driver.createWriter(path), 'exists');
    assert.equal(await place.text('uploads/one'), 'text');
  });

  driverTest('20 MB appended in pieces of uneven size come back as they were', async (place) => {
    const whole = randomBytes(20_000_000);
    const writer = await place.driver.createWriter(place.path('large'));
    for (let at = 0, size = 1; at < whole.length; at += size, size = Math.min(size * 3 + 1, 4_000_000)) {
      await writer.write(whole.subarray(at, at + size));
    }
    assert.equal(writer.sizeBytes, whole.length);
    await writer.close();
    assert.equal(sha256(await readInPieces(place, 'large')), sha256(whole));
  });
}

function listCases(driverTest: Case): void {
  driverTest('list gives direct children, files and folders, in any order', async (place) => {
    for (const name of ['b', 'a', 'folder/c', 'folder/deep/d']) await place.put(`top/${name}`, name);
    assert.deepEqual(await place.list('top'), ['a', 'b', 'folder/']);
    assert.deepEqual(await place.list('top/folder'), ['c', 'deep/']);
    await place.driver.delete(place.path('top/a'), { durable: false });
    await place.driver.move(place.path('top/b'), place.path('top/e'), { durable: false });
    await place.link('top/e', 'top/f');
    assert.deepEqual(await place.list('top'), ['e', 'f', 'folder/']);
  });

  driverTest('list gives each of 1,500 names once, and may be left early', async (place) => {
    const names = Array.from({ length: 1500 }, (_, at) => `n${at}`);
    for (let at = 0; at < names.length; at += 50) {
      await Promise.all(names.slice(at, at + 50).map((name) => place.put(`many/${name}`, '')));
    }
    assert.deepEqual(await place.list('many'), names.toSorted());
    let seen = 0;
    for await (const entry of place.driver.list(place.path('many'))) {
      assert.equal(entry.kind, 'file');
      seen += 1;
      if (seen === 3) break;
    }
    assert.equal(seen, 3);
  });
}

function moveCases(driverTest: Case): void {
  driverTest('move takes a file away, into a new folder or over a file', async (place) => {
    await place.put('from', 'moved');
    await place.put('over', 'replaced, and longer');
    await place.driver.move(place.path('from'), place.path('new/folder/to'), { durable: true });
    assert.equal(await place.text('from'), null);
    await place.driver.move(place.path('new/folder/to'), place.path('over'), { durable: false });
    assert.equal(await place.text('over'), 'moved');
    assert.equal(await place.text('new/folder/to'), null);
  });

  driverTest('move of nothing is "missing" and leaves the target', async (place) => {
    await place.put('over', 'content');
    for (const durable of [false, true]) {
      await place.fails(place.driver.move(place.path('none'), place.path('over'), { durable }), 'missing');
      await place.fails(
        place.driver.move(place.path('no/ne'), place.path('new/over'), { durable }),
        'missing',
      );
    }
    assert.equal(await place.text('over'), 'content');
  });
}

function linkCases(driverTest: Case): void {
  driverTest('link makes a second file that lives on when either is deleted or replaced', async (place) => {
    await place.put('one', 'content');
    await place.link('one', 'new/folder/two', { durable: true });
    await place.link('one', 'three');
    await place.driver.delete(place.path('one'), { durable: false });
    assert.equal(await place.text('new/folder/two'), 'content');
    await place.put('three', 'other');
    assert.equal(await place.text('new/folder/two'), 'content');
    await place.stagedNothing();
  });

  driverTest('link replaces what is there, itself and a link to the same bytes included', async (place) => {
    await place.put('one', 'content');
    await place.put('two', 'replaced, and longer');
    for (const to of ['two', 'two', 'one']) await place.link('one', to, { durable: true });
    assert.deepEqual([await place.text('one'), await place.text('two')], ['content', 'content']);
    await place.stagedNothing();
  });

  driverTest('link renews the time of the bytes, by which collectors judge their age', async (place) => {
    const before = await place.put('one', 'content');
    await place.link('one', 'two');
    const linked = await place.driver.stat(place.path('two'));
    assert.ok(linked && linked.modifiedMs >= before.modifiedMs);
  });

  driverTest('link of nothing is "missing" and leaves the target', async (place) => {
    await place.put('over', 'content');
    for (const durable of [false, true]) {
      await place.fails(place.link('none', 'over', { durable }), 'missing');
      await place.fails(place.link('no/ne', 'new/over', { durable }), 'missing');
    }
    assert.equal(await place.text('over'), 'content');
  });
}

function deleteCases(driverTest: Case): void {
  driverTest('delete says whether there was a file, and the name can be used again', async (place) => {
    await place.put('file', 'one');
    assert.equal(await place.driver.delete(place.path('file'), { durable: true }), true);
    assert.equal(await place.driver.delete(place.path('file'), { durable: true }), false);
    assert.equal(await place.text('file'), null);
    await place.put('file', 'two', { ifFingerprint: null });
    assert.equal(await place.text('file'), 'two');
  });

  driverTest('of many deletes of one file at once none fails', async (place) => {
    await place.put('file', 'one');
    const path = place.path('file');
    const results = await Promise.all(
      Array.from({ length: 20 }, () => place.driver.delete(path, { durable: false })),
    );
    assert.ok(results.includes(true));
    assert.equal(await place.text('file'), null);
  });

  driverTest('freeSpace is null, or numbers that can be', async (place) => {
    const space = await place.driver.freeSpace();
    if (space === null) return;
    assert.ok(
      space.freeBytes >= 0 && space.totalBytes > 0 && space.freeBytes <= space.totalBytes,
      JSON.stringify(space),
    );
  });
}

function nameCases(driverTest: Case): void {
  driverTest('the longest names of the registry can be stored', async (place) => {
    const hex = 'a'.repeat(128);
    const repositories = [
      'r'.repeat(240),
      Array.from({ length: 120 }, () => 'n').join('/'),
      'a-b_c.d__e/f--g',
    ];
    for (const repository of repositories) {
      const name = `${repository}/blobs/sha512/${hex}`;
      await place.put(name, repository, {
        stagingPath: place.path(`${repository}/.uploads/.stage-${hex}`),
        durable: true,
      });
      assert.equal(await place.text(name), repository);
      assert.deepEqual(await place.list(`${repository}/blobs/sha512`), [hex]);
    }
  });

  driverTest(
    'a name that is too long is "invalid" where it cannot be stored, and is nowhere',
    async (place) => {
      const name = 'n'.repeat(3000);
      const outcome = await place.put(name, 'text').then(
        () => 'stored',
        (error: unknown) => error,
      );
      if (outcome === 'stored') assert.equal(await place.text(name), 'text');
      else assert.ok(outcome instanceof StorageError && outcome.fault === 'invalid', String(outcome));
      await place.stagedNothing();
    },
  );

  driverTest('a file can be found again under exactly its name', async (place) => {
    const names = [
      '.hidden',
      '_own',
      'with space',
      'plus+equals=',
      'Upper',
      'percent%2F',
      'tilde~',
      'dot.',
      'ümlaut',
    ];
    for (const name of names) await place.put(`names/${name}`, name);
    for (const name of names) assert.equal(await place.text(`names/${name}`), name);
    assert.deepEqual(await place.list('names'), names.toSorted());
  });
}

/** Reads a file as a server does: with one open reader, a piece at a time. */
async function readInPieces(place: Place, name = 'file'): Promise<Buffer> {
  const reader = await place.reader(name);
  const pieces: Buffer[] = [];
  try {
    for (let position = 0, filled = 1; filled > 0; position += filled) {
      const piece = Buffer.alloc(65_536);
      filled = await reader.read(piece, position);
      pieces.push(piece.subarray(0, filled));
    }
  } finally {
    await reader.close();
  }
  return Buffer.concat(pieces);
}

function readIfUnchanged(place: Place): Promise<Buffer | 'changed'> {
  return unlessChanged(readInPieces(place));
}

/** A store without open files may find that the version it was reading is gone: "unavailable" says to try again. */
async function unlessChanged<Result>(call: Promise<Result>): Promise<Result | 'changed'> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof StorageError && error.fault === 'unavailable') return 'changed';
    throw error;
  }
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
