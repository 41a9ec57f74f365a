import type { Digest } from './digest.ts';
import { isJsonObject, readAnnotations, readDescriptor } from './descriptor.ts';
import type { Descriptor, JsonObject } from './descriptor.ts';
import { RegistryError } from './errors.ts';
import { isDeeperThan } from './json-depth.ts';
import { isDockerType, isNonDistributable, manifestKind } from './media-types.ts';
import type { ManifestKind } from './media-types.ts';

/** How a manifest uses something it refers to. */
export type ReferenceRole = 'config' | 'layer' | 'child';

export interface ManifestReference {
  readonly role: ReferenceRole;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
  /** Bytes that need not be in the registry: non-distributable layers. */
  readonly optional: boolean;
}

/** What the registry needs to know of a manifest, read once when it is pushed or found. */
export interface ManifestProjection {
  readonly kind: ManifestKind;
  readonly mediaType: string;
  readonly references: readonly ManifestReference[];
  readonly subject: Digest | null;
  /** As the referrers API reports it: the manifest's own, else, for images, the config's media type. */
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>> | null;
}

/** More references than any real image has; a bound for what one manifest can make us look up. */
const REFERENCES_MAX = 20_000;

/** Manifests are four levels deep, and what people put into members of their own is not much deeper. */
const DEPTH_MAX = 100;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a manifest by its media type (image-spec, "Image Manifest" and "Image Index"; Docker v2 schema 2).
 * Throws `MANIFEST_INVALID` saying what is wrong. Unknown members are allowed and ignored.
 */
export function projectManifest(bytes: Uint8Array, mediaType: string): ManifestProjection {
  const kind = manifestKind(mediaType);
  if (kind === null) throw invalid(`the media type ${mediaType.slice(0, 100)} is not a manifest type`);
  const body = parseBody(bytes);
  if (body.schemaVersion !== 2) throw invalid('schemaVersion is not 2');
  if (body.mediaType !== undefined && body.mediaType !== mediaType) {
    throw invalid(`its mediaType member differs from the Content-Type ${mediaType}`);
  }
  refuseAmbiguity(body, kind);
  const references = kind === 'image' ? imageReferences(body) : indexReferences(body);
  if (references.length > REFERENCES_MAX)
    throw invalid(`it refers to more than ${REFERENCES_MAX} descriptors`);
  const oci = !isDockerType(mediaType);
  return {
    kind,
    mediaType,
    references,
    subject: oci ? readSubject(body) : null,
    artifactType: readArtifactType(body, kind, references),
    annotations: orThrow(readAnnotations(body.annotations ?? undefined, 'manifest')) ?? null,
  };
}

function parseBody(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) throw invalid('it is empty');
  if (isDeeperThan(bytes, DEPTH_MAX)) throw invalid(`it is nested more than ${DEPTH_MAX} levels deep`);
  let body: unknown;
  try {
    body = JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', { detail: { reason: 'it is not JSON in UTF-8' }, cause });
  }
  if (!isJsonObject(body)) throw invalid('it is not a JSON object');
  return body;
}

/** One document must not be readable as two kinds of manifest (CVE-2021-41190). */
function refuseAmbiguity(body: JsonObject, kind: ManifestKind): void {
  if (kind === 'image' && body.manifests !== undefined) throw invalid('an image manifest has no "manifests"');
  if (kind === 'index' && body.layers !== undefined) throw invalid('an index has no "layers"');
  if (kind === 'index' && body.config !== undefined) throw invalid('an index has no "config"');
}

function imageReferences(body: JsonObject): ManifestReference[] {
  const config = reference('config', orThrow(readDescriptor(body.config, 'config')));
  if (!Array.isArray(body.layers)) throw invalid('"layers" is not a list');
  const layers = body.layers.map((layer, at) =>
    reference('layer', orThrow(readDescriptor(layer, `layers[${at}]`))),
  );
  return [config, ...layers];
}

function indexReferences(body: JsonObject): ManifestReference[] {
  if (body.manifests === null) return [];
  if (!Array.isArray(body.manifests)) throw invalid('"manifests" is not a list');
  return body.manifests.map((child, at) =>
    reference('child', orThrow(readDescriptor(child, `manifests[${at}]`))),
  );
}

function reference(role: ReferenceRole, descriptor: Descriptor): ManifestReference {
  const { digest, sizeBytes, mediaType } = descriptor;
  return { role, digest, sizeBytes, mediaType, optional: role === 'layer' && isNonDistributable(mediaType) };
}

function readSubject(body: JsonObject): Digest | null {
  if (body.subject === undefined || body.subject === null) return null;
  return orThrow(readDescriptor(body.subject, 'subject')).digest;
}

function readArtifactType(
  body: JsonObject,
  kind: ManifestKind,
  references: readonly ManifestReference[],
): string | null {
  const own = body.artifactType;
  if (own !== undefined && own !== null && typeof own !== 'string')
    throw invalid('"artifactType" is not a text');
  if (typeof own === 'string' && own !== '') return own;
  return kind === 'image' ? (references[0]?.mediaType ?? null) : null;
}

function orThrow<Value>(value: Value | string): Exclude<Value, string> {
  if (typeof value === 'string') throw invalid(value);
  return value as Exclude<Value, string>;
}

function invalid(reason: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', {
    message: `manifest invalid: ${reason}`,
    detail: { reason },
  });
}
