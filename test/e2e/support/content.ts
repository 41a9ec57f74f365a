import { createHash } from 'node:crypto';
import type { Answer } from './client.ts';
import type { Served } from './served.ts';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

/** Something with a digest: a blob, or a manifest with its media type. */
export interface Content {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly urls?: readonly string[];
}

export function digestOf(bytes: Uint8Array | string, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export function contentOf(bytes: Uint8Array | string, mediaType: string): Content {
  const buffer = Buffer.from(bytes);
  return { digest: digestOf(buffer), bytes: buffer, mediaType };
}

export function descriptorOf(content: Content, more: Partial<Descriptor> = {}): Descriptor {
  const { mediaType, digest, bytes } = content;
  return { mediaType, digest, size: bytes.length, ...more };
}

export interface Image {
  readonly config: Content;
  readonly layers: readonly Content[];
  readonly manifest: Content;
}

/**
 * A small image whose content, and so its digests, follow from the seed. `members` join or replace the
 * manifest's own.
 */
export function imageOf(seed: string, members: Record<string, unknown> = {}): Image {
  const config = contentOf(JSON.stringify({ architecture: 'amd64', os: 'linux', seed }), OCI_CONFIG);
  const layers = [contentOf(`layer of ${seed}`, OCI_LAYER)];
  const manifest = manifestOf({
    config: descriptorOf(config),
    layers: layers.map((layer) => descriptorOf(layer)),
    ...members,
  });
  return { config, layers, manifest };
}

/** A manifest with any members. */
export function manifestOf(members: Record<string, unknown>, mediaType = OCI_MANIFEST): Content {
  return contentOf(JSON.stringify({ schemaVersion: 2, mediaType, ...members }), mediaType);
}

export function indexOf(children: readonly Descriptor[], members: Record<string, unknown> = {}): Content {
  return manifestOf({ manifests: children, ...members }, OCI_INDEX);
}

/** Pushes a blob in one POST and expects it to be taken. */
export async function pushBlob(served: Served, repo: string, content: Content): Promise<void> {
  const target = `/v2/${repo}/blobs/uploads/?digest=${content.digest}`;
  const answer = await served.request('POST', target, {
    headers: { 'content-type': 'application/octet-stream', 'content-length': content.bytes.length },
    body: content.bytes,
  });
  expectStatus(answer, 201);
}

/** Sends a manifest under a tag or digest, whatever the answer. */
export function putManifest(
  served: Served,
  repo: string,
  manifest: Content,
  reference = manifest.digest,
): Promise<Answer> {
  return served.request('PUT', `/v2/${repo}/manifests/${reference}`, {
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
  });
}

/** Pushes a manifest whose content is there, and expects it to be taken. */
export async function pushManifest(
  served: Served,
  repo: string,
  manifest: Content,
  reference = manifest.digest,
): Promise<Answer> {
  return expectStatus(await putManifest(served, repo, manifest, reference), 201);
}

/** Pushes an image with everything in it. */
export async function pushImage(
  served: Served,
  repo: string,
  image: Image,
  reference?: string,
): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await pushBlob(served, repo, blob);
  await pushManifest(served, repo, image.manifest, reference);
}

/** Begins an upload and gives the path of its session. */
export async function startUpload(served: Served, repo: string): Promise<string> {
  const answer = expectStatus(await served.request('POST', `/v2/${repo}/blobs/uploads/`), 202);
  return answer.headers.location ?? '';
}

export function expectStatus(answer: Answer, status: number): Answer {
  if (answer.status === status) return answer;
  throw new Error(`expected ${status}, got ${answer.status}: ${answer.text}`);
}
