/** Images made of generated blobs: the same name and shape give the same image, in any process. */
import { blobOf, textBlob, type Blob } from './content.ts';
import type { ImageShape } from './plan.ts';

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface Image {
  /** Config first, then the layers. */
  blobs: Blob[];
  manifest: Blob;
  sizeBytes: number;
}

/** The image of this name. `note` makes another manifest over the same blobs; `subject` makes it a referrer. */
export function imageOf(name: string, shape: ImageShape, note?: string): Image {
  const config = textBlob(configText(name));
  const layers = shape.layerSizesBytes.map((sizeBytes, index) => blobOf(sizeBytes, `${name}/layer-${index}`));
  const manifest = textBlob(manifestText(config, layers, note));
  const blobs = [config, ...layers];
  const sizeBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, manifest.sizeBytes);
  return { blobs, manifest, sizeBytes };
}

/** An artifact manifest that refers to `subject`; `note` makes each another. */
export function referrerOf(subject: Blob, config: Blob, layer: Blob, note: string): Blob {
  return textBlob(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType: 'application/vnd.example.signature',
      config: descriptor(config, CONFIG_TYPE),
      layers: [descriptor(layer, LAYER_TYPE)],
      subject: descriptor(subject, MANIFEST_TYPE),
      annotations: { 'bench.note': note },
    }),
  );
}

function manifestText(config: Blob, layers: Blob[], note: string | undefined): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(config, CONFIG_TYPE),
    layers: layers.map((layer) => descriptor(layer, LAYER_TYPE)),
    ...(note === undefined ? {} : { annotations: { 'bench.note': note } }),
  });
}

/** A valid image configuration, padded to about 512 bytes, the size of a small real one. */
function configText(name: string): string {
  return JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    author: name,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [{ comment: 'x'.repeat(256) }],
  });
}

function descriptor(blob: Blob, mediaType: string): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: blob.digest, size: blob.sizeBytes };
}
