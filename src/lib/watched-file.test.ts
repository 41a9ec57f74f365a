import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WatchedFile } from './watched-file.ts';

/** Waits for the next change or problem of a file, at most a few seconds. */
class Watching {
  readonly file: WatchedFile<string>;
  #events: string[] = [];
  #wake: (() => void) | null = null;

  constructor(path: string, sizeBytesMax = 1000) {
    const note = (event: string): void => {
      this.#events.push(event);
      this.#wake?.();
    };
    this.file = new WatchedFile({
      path,
      sizeBytesMax,
      parse: (text) => {
        if (text.includes('broken')) throw new Error('it is broken');
        return text;
      },
      onProblem: (problem) => note(`problem: ${problem}`),
      onChange: (text) => note(`content: ${text}`),
    });
  }

  async next(): Promise<string> {
    const timer = setTimeout(() => this.#wake?.(), 5000);
    if (this.#events.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    clearTimeout(timer);
    return this.#events.shift() ?? 'nothing within five seconds';
  }
}

describe('a watched file', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zot-watched-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('is read at the start, and again when it is written or replaced', async () => {
    const path = join(folder, 'plain');
    await writeFile(path, 'one');
    const watching = new Watching(path);
    assert.equal(watching.file.content, 'one');
    await writeFile(path, 'two');
    assert.equal(await watching.next(), 'content: two');
    await writeFile(`${path}.new`, 'six');
    await rename(`${path}.new`, path);
    assert.equal(await watching.next(), 'content: six');
    assert.equal(watching.file.content, 'six');
    watching.file.close();
  });

  test('follows a swap of links, as Kubernetes makes it', async () => {
    const base = join(folder, 'mounted');
    for (const version of ['v1', 'v2']) {
      await mkdir(join(base, version), { recursive: true });
      await writeFile(join(base, version, 'users'), version);
    }
    await symlink('v1', join(base, '..data'));
    await symlink('..data/users', join(base, 'users'));
    const watching = new Watching(join(base, 'users'));
    await symlink('v2', join(base, '..data_tmp'));
    await rename(join(base, '..data_tmp'), join(base, '..data'));
    assert.equal(await watching.next(), 'content: v2');
    watching.file.close();
  });

  test('keeps its content while the new version cannot be used, and says so once', async () => {
    const path = join(folder, 'fragile');
    await writeFile(path, 'good');
    const watching = new Watching(path, 20);
    await writeFile(path, 'broken');
    assert.equal(await watching.next(), 'problem: it is broken');
    await writeFile(path, Buffer.from([0xff, 0xfe]));
    assert.match(await watching.next(), /^problem: .*encoded data/);
    await truncate(path, 100 * 1024 * 1024);
    assert.match(await watching.next(), /larger than 20 bytes/);
    await unlink(path);
    assert.match(await watching.next(), /ENOENT/);
    assert.equal(watching.file.content, 'good');
    await writeFile(path, 'better');
    assert.equal(await watching.next(), 'content: better');
    watching.file.close();
  });

  test('that is absent, a folder or too large at the start is an error', async () => {
    const large = join(folder, 'large');
    await writeFile(large, 'x'.repeat(2000));
    for (const path of [join(folder, 'absent'), folder, large]) assert.throws(() => new Watching(path));
  });
});
