import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What the suites read of an image manifest or an index; both kinds in one shape. */
export interface Manifest {
  readonly mediaType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
}

export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

const refName = 'org.opencontainers.image.ref.name';

export function digestOf(bytes: Uint8Array, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** Whether the bytes hash to a digest, by the algorithm that it names. */
export function hasDigest(bytes: Uint8Array, digest: string): boolean {
  return digestOf(bytes, digest.split(':', 1)[0]) === digest;
}

export function blobFile(folder: string, digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return path.join(folder, 'blobs', algorithm, hex);
}

/** Everything that a manifest or index refers to, without its subject (which may be absent). */
export function childrenOf(manifest: Manifest): readonly Descriptor[] {
  const config = manifest.config === undefined ? [] : [manifest.config];
  return [...config, ...(manifest.layers ?? []), ...(manifest.manifests ?? [])];
}

export function isManifest(mediaType: string): boolean {
  return /(manifest|index)(\.list)?\.v[12]\+json$/.test(mediaType);
}

/** Writes an OCI image layout by the letter of the image specification ("OCI Image Layout"), for fixtures. */
export class LayoutWriter {
  readonly folder: string;
  readonly #tags = new Map<string, Descriptor>();

  constructor(folder: string) {
    this.folder = folder;
  }

  async addBlob(mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
    const digest = digestOf(bytes);
    const file = blobFile(this.folder, digest);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  async addJson(mediaType: string, value: unknown): Promise<Descriptor> {
    return await this.addBlob(mediaType, Buffer.from(JSON.stringify(value)));
  }

  async tag(name: string, descriptor: Descriptor): Promise<void> {
    this.#tags.set(name, { ...descriptor, annotations: { [refName]: name } });
    await writeFile(path.join(this.folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...this.#tags.values()] };
    await writeFile(path.join(this.folder, 'index.json'), JSON.stringify(index));
  }
}

/** The descriptors of `index.json`. */
export async function readIndexFile(folder: string): Promise<readonly Descriptor[]> {
  const index: unknown = JSON.parse(await readFile(path.join(folder, 'index.json'), 'utf8'));
  return readManifest(index).manifests ?? [];
}

/** The descriptor of a tag in a layout; without a tag, the only one. Throws when it is not there. */
export async function findInLayout(folder: string, tag?: string): Promise<Descriptor> {
  const entries = await readIndexFile(folder);
  const found = tag === undefined ? entries : entries.filter((entry) => entry.annotations?.[refName] === tag);
  const [descriptor] = found;
  if (descriptor === undefined || found.length > 1) {
    throw new Error(`${folder} holds ${found.length} entries for ${tag ?? 'any tag'}`);
  }
  return descriptor;
}

/** The tags of a layout, sorted. */
export async function tagsInLayout(folder: string): Promise<string[]> {
  const names = (await readIndexFile(folder)).map((entry) => entry.annotations?.[refName]);
  return names.filter((name) => name !== undefined).sort();
}

/** Checks that a document has the outer shape of a manifest, so that its members can be read with types. */
export function readManifest(value: unknown): Manifest {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('this is no manifest');
  for (const key of ['layers', 'manifests'] as const) {
    if (key in value && !Array.isArray(Reflect.get(value, key)))
      throw new Error(`${key} of the manifest is no list`);
  }
  return value;
}
