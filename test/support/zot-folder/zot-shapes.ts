/** A storage folder as zot leaves it: shared blobs, sub-paths, signatures of every kind, garbage and its own files. */
import { createHash } from 'node:crypto';
import { link, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ZotHand } from './zot-hand.ts';
import type { Content } from './zot-hand.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const SIGNATURE = 'application/vnd.dev.cosign.simplesigning.v1+json';

export interface ZotImage {
  readonly manifest: Content;
  readonly blobs: readonly Content[];
}

export function contentOf(bytes: Buffer | string, mediaType = LAYER): Content {
  const buffer = Buffer.from(bytes);
  const digest = `sha256:${createHash('sha256').update(buffer).digest('hex')}`;
  return { digest, bytes: buffer, mediaType };
}

const described = ({ digest, bytes, mediaType }: Content) => ({ mediaType, digest, size: bytes.length });

export function zotImage(label: string, layers: readonly Content[], more: object = {}): ZotImage {
  const config = contentOf(JSON.stringify({ architecture: 'amd64', os: 'linux', label }), CONFIG);
  const body = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: described(config),
    layers: layers.map(described),
    ...more,
  };
  return { manifest: contentOf(JSON.stringify(body), MANIFEST), blobs: [config, ...layers] };
}

export function zotIndex(images: readonly ZotImage[], label = ''): Content {
  const manifests = images.map(({ manifest }) => described(manifest));
  const body = { schemaVersion: 2, mediaType: INDEX, manifests, annotations: { label } };
  return contentOf(JSON.stringify(body), INDEX);
}

export async function pushZotImage(
  hand: ZotHand,
  repo: string,
  image: ZotImage,
  tag: string | null,
): Promise<void> {
  for (const blob of image.blobs) await hand.pushBlob(repo, blob);
  await hand.pushManifest(repo, image.manifest, tag);
}

/** The tag under which cosign attaches something to an image. */
export const attachedTag = ({ manifest }: ZotImage, suffix: string): string =>
  `${manifest.digest.replace(':', '-')}.${suffix}`;

const base = contentOf('the base layer '.repeat(400));
// A layer of no bytes: its file is empty, and no placeholder.
const nothing = contentOf('');
const about = ({ manifest }: ZotImage): object => ({
  subject: described(manifest),
  artifactType: 'application/vnd.example.signature',
});
const web = zotImage('web <1> & more', [base, contentOf('web one')]);
const arm = zotImage('web for arm', [base, nothing]);
const old = zotImage('an old web', [base, contentOf('old layer')]);
const gone = zotImage('gone', [contentOf('gone layer')]);
const lost = zotImage('lost', [contentOf('lost layer')]);

/** What stands where, by name. */
export const shapes = {
  base,
  nothing,
  web,
  arm,
  old,
  lost,
  multi: zotIndex([web, arm]),
  signature: zotImage('signature', [contentOf('a signature', SIGNATURE)]),
  staleSignature: zotImage('stale signature', [contentOf('a stale signature', SIGNATURE)]),
  staleTag: attachedTag(gone, 'sig'),
  referrer: zotImage('referrer', [contentOf('about web')], about(web)),
  staleReferrer: zotImage('stale referrer', [contentOf('about nothing')], about(gone)),
  orphan: contentOf('a blob that nobody needs'),
  odd: contentOf('something else', 'application/vnd.example.strange'),
};

/** Files of zot's own, which are nobody else's to change. */
export const OWN_FILES = [
  'cache.db',
  'meta.db',
  '_restore_complete',
  '_sessions/session_ABC',
  '_trivy/db/trivy.db',
  '_cosign/key.pub',
  '_notation/trustpolicy.json',
  'team/web/.sync/6f1ed002-ab5d-4a9c-9b5b-1c8f0d3a5a11/team/web/index.json',
];

/** Fills a folder, and another one for the sub-path `/infra`. */
export async function fillAsZot(root: string, subRoot: string): Promise<ZotHand> {
  const hand = new ZotHand(root, { dedupe: true });
  const { web: image, multi, signature, referrer } = shapes;
  await pushZotImage(hand, 'team/web', image, 'v1');
  await hand.pushManifest('team/web', image.manifest, 'latest');
  await pushZotImage(hand, 'team/web', arm, null);
  await hand.pushManifest('team/web', multi, 'multi');
  await pushZotImage(hand, 'team/web', signature, attachedTag(image, 'sig'));
  await pushZotImage(hand, 'team/web', referrer, null);
  await pushZotImage(hand, 'team/web', old, 'old');
  await hand.deleteTag('team/web', 'old');
  await hand.pushBlob('team/web', shapes.orphan);
  await hand.giveUp('team/web', Buffer.from('never finished'));
  // Nested below another repository, and its blobs and manifest shared with it.
  await pushZotImage(hand, 'team/web/nested', image, 'v1');
  await sharedManifest(hand, image.manifest);
  await pushZotImage(hand, 'team/stale', image, 'v1');
  await pushZotImage(hand, 'team/stale', shapes.staleSignature, shapes.staleTag);
  await pushZotImage(hand, 'team/stale', shapes.staleReferrer, null);
  await pushZotImage(hand, 'team/stale', lost, 'dead');
  await rm(hand.fileOf('team/stale', lost.manifest.digest));
  await hand.pushManifest('odd', shapes.odd, 'strange');
  await hand.begin('begun/only');
  await fillSubPath(subRoot);
  for (const name of OWN_FILES) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, name === '_restore_complete' ? '1' : `of zot: ${name}`, { mode: 0o600 });
  }
  await mkdir(path.join(root, 'lost+found'), { mode: 0o700 });
  await symlink('nowhere', path.join(root, 'dangling'));
  return hand;
}

async function fillSubPath(subRoot: string): Promise<void> {
  const hand = new ZotHand(subRoot, { dedupe: false });
  await pushZotImage(hand, 'infra/tool', shapes.web, 'v1');
  await pushZotImage(hand, 'infra/other', shapes.web, 'v1');
}

/** The pass at zot's start links manifests too. */
async function sharedManifest(hand: ZotHand, { digest }: Content): Promise<void> {
  const target = hand.fileOf('team/web/nested', digest);
  await rm(target);
  await link(hand.fileOf('team/web', digest), target);
}
