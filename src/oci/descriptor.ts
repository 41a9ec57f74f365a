import { isDigest } from './digest.ts';
import type { Digest } from './digest.ts';
import { isMediaType } from './media-types.ts';

/** The annotation that holds a tag in a layout's index.json (image-spec, "Pre-Defined Annotation Keys"). */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * A content descriptor (image-spec, "OCI Content Descriptors"); members beyond these are kept by whoever stores the
 * text.
 */
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
 * Reads a descriptor strictly. `where` names the place for the problem text. Optional members that are `null` count
 * as absent, as they do for the tools written in Go.
 * Returns a text that says what is wrong, for the caller to put in its own kind of error.
 */
export function readDescriptor(value: unknown, where: string): Descriptor | string {
  if (!isJsonObject(value)) return `${where} is not a descriptor`;
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string' || !isMediaType(mediaType))
    return `${where}.mediaType is not a media type`;
  if (typeof digest !== 'string' || !isDigest(digest)) return `${where}.digest is not a supported digest`;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    return `${where}.size is not a number of bytes`;
  }
  const optional = readOptional(value, where);
  return typeof optional === 'string' ? optional : { mediaType, digest, sizeBytes: size, ...optional };
}

function readOptional(
  value: JsonObject,
  where: string,
): Pick<Descriptor, 'artifactType' | 'annotations' | 'platform'> | string {
  const artifactType = value.artifactType ?? undefined;
  if (artifactType !== undefined && typeof artifactType !== 'string')
    return `${where}.artifactType is not a text`;
  const annotations = readAnnotations(value.annotations, where);
  if (typeof annotations === 'string') return annotations;
  const platform = value.platform ?? undefined;
  if (platform !== undefined && !isJsonObject(platform)) return `${where}.platform is not an object`;
  return {
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
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
    if (typeof text !== 'string')
      return `${where}.annotations[${JSON.stringify(key.slice(0, 100))}] is not a text`;
  }
  return value as Readonly<Record<string, string>>;
}
