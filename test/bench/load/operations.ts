/** The operations of registry clients over one connection. Each returns the bytes of content it moved, or throws. */
import type { Connection, Request } from './connection.ts';
import type { Blob } from './content.ts';
import { MANIFEST_TYPE, type Image } from './image.ts';
import type { UploadStyle } from './plan.ts';
import type { Answer } from './response-parser.ts';

const OCTETS = 'Content-Type: application/octet-stream\r\n';
const ACCEPT_MANIFEST = `Accept: ${MANIFEST_TYPE}\r\n`;

/** Sends a request and insists on the status. */
export async function ask(connection: Connection, request: Request, status: number): Promise<Answer> {
  const answer = await connection.send(request);
  if (answer.status !== status) {
    throw new Error(`${request.method} ${request.path.slice(0, 120)}: ${answer.status} instead of ${status}`);
  }
  return answer;
}

export async function pushBlob(
  c: Connection,
  repository: string,
  blob: Blob,
  style: UploadStyle,
): Promise<number> {
  const uploads = `/v2/${repository}/blobs/uploads/`;
  let upload = locationOf(await ask(c, { method: 'POST', path: uploads, body: [] }, 202));
  if (style === 'patch') {
    const patch: Request = {
      method: 'PATCH',
      path: upload,
      headers: OCTETS,
      body: blob.parts,
      chunked: true,
    };
    upload = locationOf(await ask(c, patch, 202));
  }
  const path = `${upload}${upload.includes('?') ? '&' : '?'}digest=${encodeURIComponent(blob.digest)}`;
  await ask(c, { method: 'PUT', path, headers: OCTETS, body: style === 'patch' ? [] : blob.parts }, 201);
  return blob.sizeBytes;
}

export async function pushManifest(
  c: Connection,
  repository: string,
  tag: string,
  manifest: Blob,
): Promise<number> {
  const path = `/v2/${repository}/manifests/${tag}`;
  const headers = `Content-Type: ${MANIFEST_TYPE}\r\n`;
  await ask(c, { method: 'PUT', path, headers, body: manifest.parts }, 201);
  return manifest.sizeBytes;
}

/** Pushes as docker does: each blob is asked for first, sent when absent, and the manifest comes last. */
export async function pushImage(
  c: Connection,
  target: { repository: string; tag: string; style: UploadStyle },
  image: Image,
): Promise<number> {
  let bytes = 0;
  for (const blob of image.blobs) {
    const head = await c.send({ method: 'HEAD', path: `/v2/${target.repository}/blobs/${blob.digest}` });
    if (head.status === 200) continue;
    if (head.status !== 404) throw new Error(`HEAD of a blob to be pushed: ${head.status}`);
    bytes += await pushBlob(c, target.repository, blob, target.style);
  }
  return bytes + (await pushManifest(c, target.repository, target.tag, image.manifest));
}

/** Pulls the manifest by tag and every blob, and checks each length. */
export async function pullImage(
  c: Connection,
  { repository, tag }: { repository: string; tag: string },
  image: Image,
): Promise<number> {
  const manifest = { method: 'GET', path: `/v2/${repository}/manifests/${tag}`, headers: ACCEPT_MANIFEST };
  let bytes = (await ask(c, manifest, 200)).bodyBytes;
  for (const blob of image.blobs) {
    bytes += (await ask(c, { method: 'GET', path: `/v2/${repository}/blobs/${blob.digest}` }, 200)).bodyBytes;
  }
  if (bytes !== image.sizeBytes) throw new Error(`pulled ${bytes} bytes of an image of ${image.sizeBytes}`);
  return bytes;
}

/** Servers may answer with an absolute URL; the connection needs path and query. */
function locationOf(answer: Answer): string {
  if (answer.location === null) throw new Error('an upload without Location');
  return answer.location.replace(/^https?:\/\/[^/]+/, '');
}
