/**
 * Reads a storage folder with nothing of the registry's own code, and says what is wrong with it. This is the second
 * opinion that the other tests rely on.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface LayoutTruth {
  /** By repository: which digest each tag names. */
  readonly tags: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** By repository: the digests that index.json lists, and what the indexes among them list. */
  readonly manifests: ReadonlyMap<string, ReadonlySet<string>>;
  /** What is damaged, in words. */
  readonly faults: readonly string[];
  /** Files of `.uploads` folders, below the root. */
  readonly uploads: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Record<string, string>;
}

interface ManifestBody {
  readonly config?: Descriptor;
  readonly layers?: Descriptor[];
  readonly manifests?: Descriptor[];
}

const LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}';
const REF_NAME = 'org.opencontainers.image.ref.name';

/** Every repository below `root`: its layout is complete, and every blob has the digest that it is named by. */
export async function readLayouts(root: string): Promise<LayoutTruth> {
  const truth = {
    tags: new Map<string, Map<string, string>>(),
    manifests: new Map<string, Set<string>>(),
    faults: [] as string[],
    uploads: [] as string[],
  };
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const names = new Set(entries.map(({ name }) => name));
    if (names.has('index.json')) await readRepository(root, folder, truth);
    if (names.has('blobs')) truth.faults.push(...(await wrongBlobs(root, folder)));
    for (const entry of entries) {
      if (!entry.isDirectory() || entry.name === 'blobs' || entry.name.startsWith('_')) continue;
      const path = join(folder, entry.name);
      if (entry.name !== '.uploads') await walk(path);
      else for (const name of await readdir(join(root, path))) truth.uploads.push(join(path, name));
    }
  };
  await walk('');
  return truth;
}

async function readRepository(
  root: string,
  repo: string,
  truth: {
    tags: Map<string, Map<string, string>>;
    manifests: Map<string, Set<string>>;
    faults: string[];
  },
): Promise<void> {
  const folder = join(root, repo);
  const layout = await readFile(join(folder, 'oci-layout'), 'utf8').catch(() => 'absent');
  if (layout !== LAYOUT_TEXT) truth.faults.push(`${repo}: oci-layout is ${layout}`);
  const tags = new Map<string, string>();
  const seen = new Set<string>();
  truth.tags.set(repo, tags);
  truth.manifests.set(repo, seen);
  const descriptors = await readIndex(folder);
  if (typeof descriptors === 'string') return void truth.faults.push(`${repo}: ${descriptors}`);
  for (const descriptor of descriptors) {
    const tag = descriptor.annotations?.[REF_NAME];
    if (tag !== undefined) {
      if (tags.has(tag)) truth.faults.push(`${repo}: the tag ${tag} stands twice`);
      tags.set(tag, descriptor.digest);
    }
    truth.faults.push(...(await missingBelow(folder, repo, descriptor, seen)));
  }
}

/** The descriptors of index.json, or what is wrong with it. */
export async function readIndex(folder: string): Promise<Descriptor[] | string> {
  const text = await readFile(join(folder, 'index.json'), 'utf8');
  try {
    const body = JSON.parse(text) as { schemaVersion?: number; manifests?: Descriptor[] };
    if (body.schemaVersion !== 2 || !Array.isArray(body.manifests))
      return `index.json is ${text.slice(0, 80)}`;
    return body.manifests;
  } catch (error) {
    return `index.json is no JSON (${String(error)}): ${text.slice(0, 80)}`;
  }
}

/** What a descriptor leads to and is not there whole. */
export async function missingBelow(
  folder: string,
  repo: string,
  descriptor: Descriptor,
  seen: Set<string>,
): Promise<string[]> {
  if (seen.has(descriptor.digest)) return [];
  seen.add(descriptor.digest);
  const bytes = await readFile(blobFile(folder, descriptor.digest)).catch(() => null);
  if (bytes === null) return [`${repo}: ${descriptor.digest} is named and not there`];
  if (bytes.length !== descriptor.size) return [`${repo}: ${descriptor.digest} has another size`];
  const body = JSON.parse(bytes.toString()) as ManifestBody;
  const faults: string[] = [];
  for (const child of body.manifests ?? []) faults.push(...(await missingBelow(folder, repo, child, seen)));
  for (const blob of [body.config, ...(body.layers ?? [])]) {
    if (blob === undefined) continue;
    const found = await readFile(blobFile(folder, blob.digest)).catch(() => null);
    if (found?.length !== blob.size) {
      const state = found === null ? 'is not there' : `has ${found.length} bytes`;
      faults.push(`${repo}: ${blob.digest} of the manifest ${descriptor.digest} ${state}`);
    }
  }
  return faults;
}

function blobFile(folder: string, digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(folder, 'blobs', algorithm, hex);
}

async function wrongBlobs(root: string, repo: string): Promise<string[]> {
  const faults: string[] = [];
  const folder = join(root, repo, 'blobs');
  for (const algorithm of await readdir(folder)) {
    for (const name of await readdir(join(folder, algorithm))) {
      const bytes = await readFile(join(folder, algorithm, name));
      const hex = createHash(algorithm).update(bytes).digest('hex');
      if (hex !== name) faults.push(`${repo}: blob ${algorithm}:${name} holds other bytes`);
    }
  }
  return faults;
}
