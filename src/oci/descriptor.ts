import { isDigest } from './digest.ts';
import type { Digest } from './digest.ts';
import { isMediaType } from './media-types.ts';

/** The annotation that holds a tag in a layout's index.json (image-spec, "Pre-Defined Annotation Keys"). */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** A content descriptor (image-spec, "OCI Content Descriptors"); members beyond these are kept by whoever stores the text. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Readonly<Record<string, unknown>>;
}

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a descriptor strictly. `where` names the place for the problem text.
 * Returns a text that says what is wrong, for the caller to put in its own kind of error.
 */
export function readDescriptor(value: unknown, where: string): Descriptor | string {
  if (!isJsonObject(value)) return `${where} is not a descriptor`;
  const { mediaType, digest, size, artifactType, annotations, platform } = value;
  if (typeof mediaType !== 'string' || !isMediaType(mediaType)) return `${where}.mediaType is not a media type`;
  if (typeof digest !== 'string' || !isDigest(digest)) return `${where}.digest is not a supported digest`;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    return `${where}.size is not a number of bytes`;
  }
  if (artifactType !== undefined && typeof artifactType !== 'string') return `${where}.artifactType is not a text`;
  const labels = readAnnotations(annotations, where);
  if (typeof labels === 'string') return labels;
  if (platform !== undefined && !isJsonObject(platform)) return `${where}.platform is not an object`;
  return {
    mediaType,
    digest,
    sizeBytes: size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(labels === undefined ? {} : { annotations: labels }),
    ...(platform === undefined ? {} : { platform }),
  };
}

/** Annotations: absent, or an object whose values are texts; otherwise a text that says what is wrong. */
export function readAnnotations(
  value: unknown,
  where: string,
): Readonly<Record<string, string>> | undefined | string {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) return `${where}.annotations is not an object`;
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') return `${where}.annotations[${JSON.stringify(key.slice(0, 100))}] is not a text`;
  }
  return value as Readonly<Record<string, string>>;
}
