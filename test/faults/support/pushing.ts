import type { Content, Image, Manifest } from './images.ts';
import type { Answer, RegistryClient } from './registry-client.ts';

/** The ways that the specification knows to push a blob. */
export const BLOB_WAYS = ['post', 'post and put', 'patch and put', 'patches and put'] as const;
export type BlobWay = (typeof BLOB_WAYS)[number];

/** Pushes a blob and gives the answer of the last step, or of the first that was refused. */
export async function pushBlob(
  client: RegistryClient,
  repo: string,
  blob: Content,
  way: BlobWay = 'post',
): Promise<Answer> {
  const { bytes, digest } = blob;
  if (way === 'post') {
    return client.send('POST', `/v2/${repo}/blobs/uploads/?digest=${digest}`, { body: bytes });
  }
  let answer = await client.send('POST', `/v2/${repo}/blobs/uploads/`);
  if (answer.status !== 202) return answer;
  if (way === 'post and put') return finishUpload(client, answer, digest, bytes);
  const half = bytes.length >> 1;
  const parts = way === 'patch and put' ? [bytes] : [bytes.subarray(0, half), bytes.subarray(half)];
  let from = 0;
  for (const part of parts) {
    if (part.length === 0) continue;
    answer = await patchUpload(client, String(answer.headers.location), part, from);
    if (answer.status !== 202) return answer;
    from += part.length;
  }
  return finishUpload(client, answer, digest);
}

export function patchUpload(
  client: RegistryClient,
  location: string,
  body: Buffer,
  from: number,
): Promise<Answer> {
  const headers = { 'content-range': `${from}-${from + body.length - 1}` };
  return client.send('PATCH', location, { body, headers });
}

/** The closing PUT of the session that `before` answered about. */
export function finishUpload(
  client: RegistryClient,
  before: Answer,
  digest: string,
  body?: Buffer,
): Promise<Answer> {
  const location = new URL(String(before.headers.location), client.url);
  location.searchParams.set('digest', digest);
  return client.send('PUT', location.href, body === undefined ? {} : { body });
}

export function pushManifest(
  client: RegistryClient,
  repo: string,
  manifest: Manifest,
  reference: string = manifest.digest,
): Promise<Answer> {
  const headers = { 'content-type': manifest.mediaType };
  return client.send('PUT', `/v2/${repo}/manifests/${reference}`, { body: manifest.bytes, headers });
}

/** Pushes an image as clients do: blobs first, each in a way of its own. Throws unless all was taken. */
export async function pushImage(
  client: RegistryClient,
  repo: string,
  image: Image,
  reference?: string,
): Promise<void> {
  for (const [at, blob] of image.blobs.entries()) {
    requireStatus(await pushBlob(client, repo, blob, BLOB_WAYS[at % BLOB_WAYS.length]), [201]);
  }
  requireStatus(await pushManifest(client, repo, image.manifest, reference), [201]);
}

/** Gives the answer back when it has one of the statuses; throws with what it said otherwise. */
export function requireStatus(answer: Answer, statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status)) return answer;
  throw new Error(
    `status ${answer.status}, not ${statuses.join(' or ')}: ${answer.body.toString().slice(0, 500)}`,
  );
}
