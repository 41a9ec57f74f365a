import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { digestHex, digestOf, parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { versionOf } from '#registry';
import { LocalDriver } from '#storage';
import { ReadRate, ScrubPass, freshState } from '#tasks';
import type { ScrubParts } from '#tasks';
import { eventually } from '../../support/eventually.ts';
import { REPOS } from '../gc/actor.ts';
import { CollectedRegistry } from '../gc/collected-registry.ts';
import { BLOBS, PIECES } from '../gc/model.ts';

export const CONTENTS: readonly { readonly digest: Digest; readonly bytes: Buffer }[] = [
  ...BLOBS,
  ...PIECES.map(({ manifest }) => manifest),
].map(({ digest, bytes }) => ({ digest: parseDigest(digest), bytes }));

const PATIENCE_MS = 20_000;

/** What the disk holds under a name, whatever the registry knows of it. */
export type Truth = 'sound' | 'rotten' | 'gone';

/** A registry on a disk that rots, which is scrubbed step by step. */
export class RottingRegistry {
  readonly collected: CollectedRegistry;

  private constructor(collected: CollectedRegistry) {
    this.collected = collected;
  }

  static async open(dedupe: boolean): Promise<RottingRegistry> {
    const make = (root: string): LocalDriver => {
      mkdirSync(join(root, 'store'));
      return new LocalDriver(join(root, 'store'));
    };
    return new RottingRegistry(await CollectedRegistry.open(make, undefined, { dedupe }));
  }

  #fileOf(repo: RepoName, digest: Digest): string {
    return join(this.collected.root, 'store', repo, 'blobs/sha256', digestHex(digest));
  }

  /** Overwrites a byte by one that stood nowhere before, so that rot never makes good what rotted. */
  async rot(repo: RepoName, digest: Digest, share: number): Promise<void> {
    if ((await this.truthOf(repo, digest)) === 'gone') return;
    const handle = await open(this.#fileOf(repo, digest), 'r+');
    try {
      const { size } = await handle.stat();
      await handle.write(Buffer.from('#'), 0, 1, Math.floor(share * size));
    } finally {
      await handle.close();
    }
  }

  /** Lets one of the contents that stand in a repository rot. */
  async rotAny(repo: RepoName, at: number, share: number): Promise<void> {
    const there: Digest[] = [];
    for (const { digest } of CONTENTS) if ((await this.truthOf(repo, digest)) !== 'gone') there.push(digest);
    const digest = there[at % there.length];
    if (digest !== undefined) await this.rot(repo, digest, share);
  }

  /** The file that all repositories have the content in; `null` where it is not one. */
  async oneFile(digest: Digest): Promise<number | null> {
    const stats = REPOS.map((repo) => stat(this.#fileOf(repo, digest)).catch(() => null));
    const files = new Set((await Promise.all(stats)).map((found) => found?.ino));
    const [file] = files;
    return files.size === 1 && file !== undefined ? file : null;
  }

  /** Puts the right bytes there beside the registry, as another tool does: in another file, by a rename. */
  async mendByHand(repo: RepoName, { digest, bytes }: (typeof CONTENTS)[number]): Promise<void> {
    if ((await this.truthOf(repo, digest)) !== 'rotten') return;
    const fresh = join(this.collected.root, 'fresh');
    await writeFile(fresh, bytes);
    await rename(fresh, this.#fileOf(repo, digest));
  }

  async truthOf(repo: RepoName, digest: Digest): Promise<Truth> {
    const bytes = await readFile(this.#fileOf(repo, digest)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw error;
    });
    return bytes === null ? 'gone' : digestOf(bytes) === digest ? 'sound' : 'rotten';
  }

  /** Whether damage of the very file that stands there is known. */
  async isKnown(repo: RepoName, digest: Digest): Promise<boolean> {
    const { index, storage } = this.collected.opened;
    const row = await index.findDamage(repo, digest);
    if (row === null) return false;
    return row.version === versionOf(await storage.repository(repo).statBlob(digest));
  }

  /** One pass; `pause` is awaited between its steps. */
  async scrub(pause = async (): Promise<void> => undefined): Promise<ScrubPass> {
    const { storage, index, keeper } = this.collected.opened;
    const time = this.collected.clock;
    const parts: ScrubParts = {
      storage,
      index,
      keeper,
      logger: pino({ level: 'silent' }),
      store: storage.stores[0] as ScrubParts['store'],
      time,
      ready: Promise.resolve(),
      rate: new ReadRate(0, time),
      onImage: () => undefined,
    };
    const pass = new ScrubPass(parts, freshState(1));
    const context = { signal: new AbortController().signal, pause };
    await pass.run(context, Infinity, async () => undefined);
    return pass;
  }

  async damage(): Promise<string[]> {
    const rows = await this.collected.opened.index.listDamage({ after: null, limit: 1000 });
    return rows.map(({ repo, digest }) => `${repo} ${digest}`);
  }

  /** What has rotted and stands there still, in all repositories. */
  async rotten(): Promise<{ readonly repo: RepoName; readonly at: number }[]> {
    const found: { repo: RepoName; at: number }[] = [];
    for (const repo of REPOS) {
      for (const [at, { digest }] of CONTENTS.entries())
        if ((await this.truthOf(repo, digest)) === 'rotten') found.push({ repo, at });
    }
    return found;
  }

  /** Waits until all copies of a content whose damage was known are good, which is so some time after its push. */
  async requireMended(repos: readonly RepoName[], digest: Digest): Promise<void> {
    for (const repo of repos) {
      const isMended = async (): Promise<boolean> =>
        (await this.collected.opened.index.findDamage(repo, digest)) === null;
      await eventually(isMended, PATIENCE_MS, `a push mends ${digest} in ${repo}`);
      assert.notEqual(await this.truthOf(repo, digest), 'rotten', `${digest} is called good in ${repo}`);
    }
  }
}
