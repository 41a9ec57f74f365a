import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageOf, indexOf, descriptorOf, randomContent } from './images.ts';
import type { Content, Image, Manifest } from './images.ts';
import { pushBlob, pushImage, pushManifest, requireStatus } from './pushing.ts';
import { RegistryClient } from './registry-client.ts';
import { SeededRandom } from './seeded-random.ts';

/** What a sample repository holds. */
export interface SampleRepository {
  readonly name: string;
  readonly image: Image;
  readonly other: Image;
  readonly index: Manifest;
  readonly referrer: Image;
  /** A blob that no manifest names. */
  readonly loose: Content;
}

/** Pushes two images, an index of both, a referrer and a loose blob. */
export async function fillRepository(url: string, name: string): Promise<SampleRepository> {
  const client = new RegistryClient(url);
  const random = new SeededRandom(name.length);
  const layer = randomContent(random, 9000);
  const image = imageOf([layer, randomContent(random, 700)], `image of ${name}`);
  const other = imageOf([layer], `other image of ${name}`);
  const index = indexOf([image.manifest, other.manifest]);
  const subject = descriptorOf(image.manifest.mediaType, image.manifest);
  const referrer = imageOf([randomContent(random, 50)], `signature of ${name}`, {
    subject,
    artifactType: 'test/signature',
  });
  const loose = randomContent(random, 333);
  try {
    await pushImage(client, name, image, 'latest');
    requireStatus(await pushManifest(client, name, image.manifest, 'v1'), [201]);
    await pushImage(client, name, other, 'other');
    requireStatus(await pushManifest(client, name, index, 'all'), [201]);
    await pushImage(client, name, referrer);
    requireStatus(await pushBlob(client, name, loose), [201]);
    return { name, image, other, index, referrer, loose };
  } finally {
    client.close();
  }
}

/** Everything that a registry answers about repositories, in a form that can be compared. */
export async function answersOf(
  url: string,
  repositories: readonly SampleRepository[],
): Promise<Record<string, string>> {
  const client = new RegistryClient(url);
  const answers: Record<string, string> = {};
  const ask = async (method: string, path: string): Promise<void> => {
    const { status, headers, body } = await client.send(method, path);
    const text = status === 200 && method === 'GET' ? body.toString('latin1') : '';
    const shown = [status, headers['content-type'], headers['docker-content-digest'], text];
    answers[`${method} ${path}`] = shown.map(String).join(' ');
  };
  try {
    await ask('GET', '/v2/_catalog');
    for (const { name, image, other, index, referrer, loose } of repositories) {
      await ask('GET', `/v2/${name}/tags/list`);
      const digests = [image, other, referrer].map(({ manifest }) => manifest.digest).concat(index.digest);
      for (const reference of ['latest', 'v1', 'other', 'all', 'absent', ...digests]) {
        await ask('GET', `/v2/${name}/manifests/${reference}`);
        await ask('HEAD', `/v2/${name}/manifests/${reference}`);
      }
      await ask('GET', `/v2/${name}/referrers/${image.manifest.digest}`);
      for (const blob of [...image.blobs, ...other.blobs, loose])
        await ask('GET', `/v2/${name}/blobs/${blob.digest}`);
    }
    return answers;
  } finally {
    client.close();
  }
}

/** A copy of a folder, for one test to damage; removed afterwards. */
export async function onCopy<Result>(
  source: string,
  work: (root: string) => Promise<Result>,
): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'zot-faults-'));
  try {
    await cp(source, root, { recursive: true, preserveTimestamps: true });
    return await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Where a blob or manifest is in a repository's folder. */
export function blobFile(root: string, repo: string, digest: string): string {
  return join(root, repo, 'blobs', ...digest.split(':'));
}
