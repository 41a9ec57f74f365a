import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { digestHex, digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { LocalDriver } from '#storage';
import { dedupeJob } from '#tasks';
import type { PassParts, PassReport, TaskContext } from '#tasks';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';
import type { FileSystem } from '../../../src/storage/drivers/file-system.ts';
import { openRegistry } from '../support/opened-registry.ts';
import type { OpenedRegistry, OpenOptions } from '../support/opened-registry.ts';

/** A registry on a folder, whose equal blobs are linked and made independent by passes. */
export class SharedStore {
  readonly root: string;
  /** Lines of the log, as objects. */
  readonly log: Record<string, unknown>[] = [];
  #opened: OpenedRegistry | null = null;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(root?: string): Promise<SharedStore> {
    return new SharedStore(root ?? (await mkdtemp(join(tmpdir(), 'zot-dedupe-'))));
  }

  get opened(): OpenedRegistry {
    if (this.#opened === null) throw new Error('it is not open');
    return this.#opened;
  }

  /** Opens the folder, after closing it if it was open. */
  async open(
    dedupe: boolean,
    files: FileSystem = nodeFileSystem,
    more: Partial<OpenOptions> = {},
  ): Promise<void> {
    await this.close();
    const driver = new LocalDriver(this.root, files);
    this.#opened = await openRegistry({ root: this.root, driver, durable: true, dedupe, ...more });
  }

  async close(): Promise<void> {
    await this.#opened?.close();
    this.#opened = null;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.root, { recursive: true, force: true });
  }

  async push(repo: RepoName, bytes: Buffer): Promise<void> {
    async function* body(): AsyncGenerator<Buffer> {
      // A copy: whoever takes a piece of a body gives its memory back.
      yield Buffer.from(bytes);
    }
    const source = Object.assign(body(), { stop: () => undefined });
    await this.opened.registry.uploads.pushWhole(repo, digestOf(bytes), { source });
  }

  /** One pass as it runs after a start; `pause` is awaited between its steps. */
  async pass(
    more: { context?: Partial<TaskContext>; parts?: Partial<PassParts> } = {},
  ): Promise<PassReport | null> {
    const { storage, index, keeper } = this.opened;
    const lines = {
      write: (line: string) => void this.log.push(JSON.parse(line) as Record<string, unknown>),
    };
    let report: PassReport | null = null;
    const parts: PassParts = {
      storage,
      index,
      keeper,
      logger: pino({ level: 'debug' }, lines),
      store: storage.stores[0] as PassParts['store'],
      ready: Promise.resolve(),
      spaceLimit: { bytes: 0, share: 0 },
      ...more.parts,
    };
    const job = dedupeJob(parts, (done) => (report = done));
    const context = { signal: new AbortController().signal, pause: async () => undefined, ...more.context };
    for await (const task of job.tasks(context)) await task.run(context);
    return report;
  }

  fileOf(repo: string, digest: Digest): string {
    return join(this.root, repo, 'blobs/sha256', digestHex(digest));
  }

  /** Which repositories share one file, by the names of the first of them; those without the blob are left out. */
  async files(repos: readonly string[], digest: Digest): Promise<Map<number, string[]>> {
    const groups = new Map<number, string[]>();
    for (const repo of repos) {
      const found = await stat(this.fileOf(repo, digest)).catch(() => null);
      if (found !== null) groups.set(found.ino, [...(groups.get(found.ino) ?? []), repo]);
    }
    return groups;
  }

  async read(repo: RepoName, digest: Digest): Promise<Digest> {
    const blob = await this.opened.registry.openBlob(repo, digest);
    try {
      const bytes = Buffer.alloc(blob.sizeBytes);
      await blob.reader.read(bytes, 0);
      return digestOf(bytes);
    } finally {
      await blob.reader.close();
    }
  }

  messages(): string[] {
    return this.log.map(({ msg, message }) => String(message ?? msg));
  }
}
