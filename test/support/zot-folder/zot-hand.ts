/**
 * Changes a storage folder by hand as zot does it, step by step and file by file, for tests of folders that zot wrote
 * and of taking turns with it on one folder. Nothing of the registry's own code is used.
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

export const REF_NAME = 'org.opencontainers.image.ref.name';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: unknown;
}

interface IndexJson {
  readonly schemaVersion: number;
  readonly manifests: readonly Descriptor[] | null;
}

interface ManifestJson {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
}

/** Bytes with a digest, and a type where they are a manifest. */
export interface Content {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

const FOLDER = { recursive: true, mode: 0o700 } as const;
const FILE = { mode: 0o600 } as const;
const INDEX = 'application/vnd.oci.image.index.v1+json';

/** JSON as Go's encoder writes it. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const tagOf = ({ annotations }: Descriptor): string | undefined => annotations?.[REF_NAME];

function untagged(descriptor: Descriptor): Descriptor {
  const { [REF_NAME]: _tag, ...rest } = descriptor.annotations ?? {};
  const { annotations: _annotations, ...bare } = descriptor;
  return Object.keys(rest).length === 0 ? bare : { ...bare, annotations: rest };
}

export class ZotHand {
  readonly #root: string;
  readonly #dedupe: boolean;
  /** Where a digest was stored first: what zot keeps in its cache.db. */
  readonly #originals = new Map<string, string>();

  constructor(root: string, options: { readonly dedupe: boolean }) {
    this.#root = root;
    this.#dedupe = options.dedupe;
  }

  fileOf(repo: string, digest: string): string {
    return path.join(this.#root, repo, 'blobs', ...digest.split(':'));
  }

  /** Learns from the folder which digest is where, as zot does at its start. */
  async learn(repos: readonly string[]): Promise<void> {
    this.#originals.clear();
    for (const repo of repos.toSorted()) {
      const names = await readdir(path.join(this.#root, repo, 'blobs/sha256')).catch((): string[] => []);
      for (const name of names) await this.#learnOf(repo, `sha256:${name}`);
    }
  }

  async #learnOf(repo: string, digest: string): Promise<void> {
    const file = this.fileOf(repo, digest);
    if (!this.#originals.has(digest)) this.#originals.set(digest, file);
    else if (this.#dedupe) await this.#linkOver(digest, file);
  }

  /** A repository as it is when the first upload into it begins. */
  async begin(repo: string): Promise<void> {
    const folder = path.join(this.#root, repo);
    await mkdir(path.join(folder, 'blobs'), FOLDER);
    await mkdir(path.join(folder, '.uploads'), FOLDER);
    const layout = path.join(folder, 'oci-layout');
    if (!existsSync(layout)) await writeFile(layout, '{"imageLayoutVersion":"1.0.0"}', FILE);
    const index = path.join(folder, 'index.json');
    if (!existsSync(index)) await writeFile(index, goJson({ schemaVersion: 2, manifests: null }), FILE);
  }

  /** An upload that is begun and never finished. */
  async giveUp(repo: string, bytes: Buffer): Promise<string> {
    await this.begin(repo);
    const id = randomUUID();
    await writeFile(path.join(this.#root, repo, '.uploads', id), bytes, FILE);
    return id;
  }

  async pushBlob(repo: string, { digest, bytes }: Content): Promise<void> {
    await this.begin(repo);
    const upload = path.join(this.#root, repo, '.uploads', randomUUID());
    await writeFile(upload, bytes, FILE);
    const target = this.fileOf(repo, digest);
    await mkdir(path.dirname(target), FOLDER);
    const original = this.#originals.get(digest);
    if (this.#dedupe && original !== undefined && existsSync(original)) {
      await this.#linkOver(digest, target);
      await rm(upload);
      return;
    }
    this.#originals.set(digest, target);
    await rename(upload, target);
  }

  async #linkOver(digest: string, target: string): Promise<void> {
    const original = this.#originals.get(digest);
    if (original === undefined || original === target) return;
    const [one, other] = await Promise.all([stat(original), stat(target).catch(() => null)]);
    if (one.ino === other?.ino) return;
    await rm(target, { force: true });
    await link(original, target);
    const now = new Date();
    await utimes(target, now, now);
  }

  async pushManifest(repo: string, manifest: Content, tag: string | null): Promise<void> {
    await this.begin(repo);
    const file = this.fileOf(repo, manifest.digest);
    await mkdir(path.dirname(file), FOLDER);
    const found = await stat(file).catch(() => null);
    // In place, unless a file of that size is there.
    if (found?.size !== manifest.bytes.length) await writeFile(file, manifest.bytes, FILE);
    const { digest, mediaType, bytes } = manifest;
    const descriptor = { mediaType, digest, size: bytes.length };
    const before = await this.entries(repo);
    if (tag === null) {
      if (!before.some((entry) => entry.digest === digest)) await this.#stage(repo, [...before, descriptor]);
      return;
    }
    if (before.some((entry) => tagOf(entry) === tag && entry.digest === digest)) return;
    const kept = before.filter(
      (entry) => tagOf(entry) !== tag && !(entry.digest === digest && tagOf(entry) === undefined),
    );
    await this.#stage(repo, [...kept, { ...descriptor, annotations: { [REF_NAME]: tag } }]);
  }

  async deleteTag(repo: string, tag: string): Promise<void> {
    const before = await this.entries(repo);
    const gone = before.find((entry) => tagOf(entry) === tag);
    if (gone === undefined) return;
    const rest = before.filter((entry) => entry !== gone);
    if (!rest.some(({ digest }) => digest === gone.digest)) rest.push(untagged(gone));
    await this.#inPlace(repo, rest);
  }

  async deleteManifest(repo: string, digest: string): Promise<void> {
    await this.#inPlace(
      repo,
      (await this.entries(repo)).filter((entry) => entry.digest !== digest),
    );
    await rm(this.fileOf(repo, digest), { force: true });
  }

  /** The descriptors of index.json. */
  async entries(repo: string): Promise<readonly Descriptor[]> {
    const text = await readFile(path.join(this.#root, repo, 'index.json'), 'utf8');
    return (JSON.parse(text) as IndexJson).manifests ?? [];
  }

  /** One collection of a repository, in which everything is old enough. */
  async collect(repo: string): Promise<void> {
    let entries = [...(await this.entries(repo))];
    for (let size = -1; size !== entries.length;) {
      size = entries.length;
      const bodies = await Promise.all(entries.map((entry) => this.#manifest(repo, entry)));
      const children = new Set(bodies.flatMap((body) => body?.manifests?.map(({ digest }) => digest) ?? []));
      entries = entries.filter((entry, at) => {
        if (bodies[at] === null) return false;
        return tagOf(entry) !== undefined || children.has(entry.digest) || bodies[at]?.subject !== undefined;
      });
    }
    await this.#stage(repo, entries);
    const needed = new Set<string>();
    for (const entry of entries) await this.#need(repo, entry, needed);
    const folder = path.join(this.#root, repo, 'blobs/sha256');
    for (const name of await readdir(folder).catch(() => [])) {
      if (!needed.has(`sha256:${name}`)) await rm(path.join(folder, name));
    }
    const uploads = path.join(this.#root, repo, '.uploads');
    for (const name of await readdir(uploads)) await rm(path.join(uploads, name));
  }

  async #need(repo: string, entry: Descriptor, needed: Set<string>): Promise<void> {
    needed.add(entry.digest);
    const body = await this.#manifest(repo, entry);
    for (const { digest } of [...(body?.layers ?? []), ...(body?.config ? [body.config] : [])])
      needed.add(digest);
    for (const child of body?.manifests ?? []) await this.#need(repo, child, needed);
  }

  async #manifest(repo: string, { digest, mediaType }: Descriptor): Promise<ManifestJson | null> {
    const bytes = await readFile(this.fileOf(repo, digest)).catch(() => null);
    if (bytes === null) return null;
    const body = JSON.parse(bytes.toString()) as ManifestJson;
    return mediaType === INDEX || body.config !== undefined ? body : {};
  }

  async #stage(repo: string, manifests: readonly Descriptor[]): Promise<void> {
    const staged = path.join(this.#root, repo, '.uploads', randomUUID());
    await writeFile(staged, goJson({ schemaVersion: 2, manifests }), FILE);
    await rename(staged, path.join(this.#root, repo, 'index.json'));
  }

  async #inPlace(repo: string, manifests: readonly Descriptor[]): Promise<void> {
    await writeFile(path.join(this.#root, repo, 'index.json'), goJson({ schemaVersion: 2, manifests }), FILE);
  }
}

/**
 * What zot shows of a folder, and what would keep it from working with it: it serves by digest only what index.json
 * lists, and by tag the first descriptor of that name. Faults are in words.
 */
export async function seenByZot(
  root: string,
  repo: string,
): Promise<{ tags: Record<string, string>; manifests: string[]; faults: string[] }> {
  const faults: string[] = [];
  const folder = path.join(root, repo);
  const layout = JSON.parse(await readFile(path.join(folder, 'oci-layout'), 'utf8')) as object;
  if (JSON.stringify(layout) !== '{"imageLayoutVersion":"1.0.0"}') faults.push('oci-layout is another');
  if (!existsSync(path.join(folder, 'blobs'))) faults.push('there is no folder of blobs');
  const { manifests } = JSON.parse(await readFile(path.join(folder, 'index.json'), 'utf8')) as IndexJson;
  const tags: Record<string, string> = {};
  const untaggedSeen = new Set<string>();
  for (const entry of manifests ?? []) {
    const tag = tagOf(entry);
    if (tag === undefined && untaggedSeen.has(entry.digest)) faults.push(`${entry.digest} is listed twice`);
    if (tag === undefined) untaggedSeen.add(entry.digest);
    else if (tag in tags) faults.push(`the tag ${tag} is listed twice`);
    else tags[tag] = entry.digest;
    faults.push(...(await contentFaults(root, repo, entry)));
  }
  const listed = [...new Set((manifests ?? []).map(({ digest }) => digest))].toSorted();
  return { tags, manifests: listed, faults };
}

async function contentFaults(root: string, repo: string, entry: Descriptor): Promise<string[]> {
  const bytes = await readFile(path.join(root, repo, 'blobs', ...entry.digest.split(':'))).catch(() => null);
  if (bytes === null) return [`${entry.digest} is listed and absent`];
  const [algorithm = 'sha256', hex] = entry.digest.split(':');
  if (createHash(algorithm).update(bytes).digest('hex') !== hex) return [`${entry.digest} is damaged`];
  if (bytes.length !== entry.size) return [`${entry.digest} has another size`];
  const body = JSON.parse(bytes.toString()) as ManifestJson;
  const needed = [...(body.layers ?? []), ...(body.config ? [body.config] : []), ...(body.manifests ?? [])];
  const absent: string[] = [];
  for (const { digest, size } of needed) {
    const found = await stat(path.join(root, repo, 'blobs', ...digest.split(':'))).catch(() => null);
    if (found?.size !== size) absent.push(`${digest}, which ${entry.digest} needs, is not whole`);
  }
  return absent;
}
