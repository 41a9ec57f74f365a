/** Manifests, rows and changes for the suites and tests of the index. */
import { digestOf } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { projectManifest } from '#oci/manifest';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '#oci/media-types';
import { storedTag } from '#oci/reference';
import { parseRepoName } from '#oci/repo-name';
import type {
  EntryRow,
  NewManifest,
  RepositoryChange,
  RepositorySnapshot,
  RepositoryState,
} from './index-contract.ts';

export const REPO = parseRepoName('library/debian');
export const OTHER = parseRepoName('library/alpine');
export const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export const digestOfText = (text: string): Digest => digestOf(Buffer.from(text));
const descriptor = (text: string, mediaType: string) => ({
  mediaType,
  digest: digestOfText(text),
  size: text.length,
});

interface ImageOptions {
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
  readonly layers?: readonly string[];
}

/** A real manifest with a config and layers of its own. */
export function image(text: string, options: ImageOptions = {}): NewManifest {
  const { subject, layers = [`layer of ${text}`], ...more } = options;
  const body = {
    schemaVersion: 2,
    config: descriptor(`config of ${text}`, OCI_CONFIG),
    layers: layers.map((layer) => descriptor(layer, LAYER)),
    ...more,
    ...(subject === undefined ? {} : { subject: { mediaType: OCI_MANIFEST, digest: subject, size: 1 } }),
  };
  return newManifest(body, OCI_MANIFEST);
}

export function imageIndex(children: readonly NewManifest[]): NewManifest {
  const manifests = children.map(({ digest, mediaType, sizeBytes }) => ({
    digest,
    mediaType,
    size: sizeBytes,
  }));
  return newManifest({ schemaVersion: 2, manifests }, OCI_INDEX);
}

function newManifest(body: object, mediaType: string): NewManifest {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    digest: digestOf(bytes),
    mediaType,
    sizeBytes: bytes.length,
    projection: projectManifest(bytes, mediaType),
  };
}

export function state(fingerprint: string, more: Partial<RepositoryState> = {}): RepositoryState {
  return {
    fingerprint,
    doubtfulUntilMs: 0,
    head: '{"schemaVersion":2',
    unreadable: [],
    problem: null,
    ...more,
  };
}

export function entry(position: number, manifest: NewManifest, tag: string | null): EntryRow {
  const { digest } = manifest;
  return {
    position,
    digest,
    tag: tag === null ? null : storedTag(tag),
    json: JSON.stringify({ digest, tag }),
  };
}

export function change(more: Partial<RepositoryChange>): RepositoryChange {
  return {
    repo: REPO,
    state: state('1'),
    removedPositions: [],
    addedEntries: [],
    removedManifests: [],
    addedManifests: [],
    candidates: [],
    revived: [],
    ...more,
  };
}

export function snapshot(more: Partial<RepositorySnapshot>): RepositorySnapshot {
  return { repo: REPO, state: state('1'), entries: [], manifests: [], kept: [], blobs: [], ...more };
}
