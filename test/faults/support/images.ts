import { createHash } from 'node:crypto';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '#oci/media-types';
import type { SeededRandom } from './seeded-random.ts';

/** Bytes and their digest. */
export interface Content {
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface Manifest extends Content {
  readonly mediaType: string;
}

export interface Image {
  readonly manifest: Manifest;
  /** The config first, then the layers. */
  readonly blobs: readonly Content[];
}

export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

export function contentOf(bytes: Buffer): Content {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}

export function randomContent(random: SeededRandom, sizeBytes: number): Content {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 1) bytes[at] = random.below(256);
  return contentOf(bytes);
}

/** An image with random layers of up to `layerBytesMax` bytes each. */
export function randomImage(random: SeededRandom, options: { layers: number; layerBytesMax: number }): Image {
  const layers = Array.from({ length: options.layers }, () =>
    randomContent(random, 1 + random.below(options.layerBytesMax)),
  );
  return imageOf(layers, `${random.below(2 ** 30)}`);
}

/** An image of given layers; images with other labels have other digests. */
export function imageOf(layers: readonly Content[], label: string, more: object = {}): Image {
  const config = contentOf(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', label })));
  const manifest = manifestOf(OCI_MANIFEST, {
    config: descriptorOf(OCI_CONFIG, config),
    layers: layers.map((layer) => descriptorOf(LAYER_TYPE, layer)),
    ...more,
  });
  return { manifest, blobs: [config, ...layers] };
}

export function indexOf(children: readonly Manifest[], more: object = {}): Manifest {
  return manifestOf(OCI_INDEX, {
    manifests: children.map((child) => descriptorOf(child.mediaType, child)),
    ...more,
  });
}

export function descriptorOf(mediaType: string, content: Content): object {
  return { mediaType, digest: content.digest, size: content.bytes.length };
}

function manifestOf(mediaType: string, members: object): Manifest {
  const text = JSON.stringify({ schemaVersion: 2, mediaType, ...members });
  return { ...contentOf(Buffer.from(text)), mediaType };
}
