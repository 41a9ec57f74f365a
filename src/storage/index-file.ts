import { REF_NAME, isJsonObject, readDescriptor } from '#oci/descriptor';
import type { Descriptor, JsonObject } from '#oci/descriptor';
import { isDeeperThan } from '#oci/json-depth';
import { storedTag } from '#oci/reference';
import type { Tag } from '#oci/reference';

/** The exact text of `oci-layout` (image-spec, "oci-layout file"). */
export const LAYOUT_TEXT = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

/** One entry of index.json: what we know of it, and its text, so that members we do not know survive a rewrite. */
export interface IndexEntry {
  readonly descriptor: Descriptor;
  readonly tag: Tag | null;
  readonly json: string;
}

/** A parsed index.json (image-spec, "Image Layout", section "index.json"). */
export interface IndexFile {
  /** The members other than `manifests`, as JSON text without the closing brace: `{"schemaVersion":2`. */
  readonly head: string;
  readonly entries: readonly IndexEntry[];
  /** Descriptors that could not be read: kept in the file as they are, served by nothing. */
  readonly unreadable: readonly string[];
}

/** Head of a fresh index.json; zot adds no mediaType either. */
export const FRESH_HEAD = '{"schemaVersion":2';

/** Deeper texts cost far more to parse than their size suggests; no tool writes such a file. */
const DEPTH_MAX = 100;

/**
 * Parses index.json; a text says why it cannot be used. `manifests: null` is an empty list, as zot writes it. Members
 * that we do not know are kept as JSON reads them: of a repeated member the last, of a number what a double holds.
 */
export function parseIndexFile(bytes: Buffer): IndexFile | string {
  if (isDeeperThan(bytes, DEPTH_MAX)) return `it is nested more than ${DEPTH_MAX} levels deep`;
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    return `it is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`;
  }
  if (!isJsonObject(body)) return 'it is not a JSON object';
  const { manifests, ...others } = body;
  if (manifests !== null && manifests !== undefined && !Array.isArray(manifests))
    return '"manifests" is not a list';
  const entries: IndexEntry[] = [];
  const unreadable: string[] = [];
  for (const [at, value] of (manifests ?? []).entries()) {
    const descriptor = readDescriptor(value, `manifests[${at}]`);
    if (typeof descriptor === 'string') unreadable.push(JSON.stringify(value));
    else entries.push({ descriptor, tag: tagOf(descriptor), json: JSON.stringify(value) });
  }
  return { head: headOf(others), entries, unreadable };
}

function headOf(others: JsonObject): string {
  const members = { schemaVersion: 2, ...others };
  return JSON.stringify(members).slice(0, -1);
}

function tagOf(descriptor: Descriptor): Tag | null {
  const name = descriptor.annotations?.[REF_NAME];
  return name === undefined || name === '' ? null : storedTag(name);
}

/** The text of a descriptor as zot writes it: a tag is the ref.name annotation, and nothing else is added. */
export function descriptorJson(
  descriptor: { mediaType: string; digest: string; sizeBytes: number },
  tag: Tag | null,
): string {
  const { mediaType, digest, sizeBytes } = descriptor;
  const annotations = tag === null ? {} : { annotations: { [REF_NAME]: tag } };
  return JSON.stringify({ mediaType, digest, size: sizeBytes, ...annotations });
}

/** The same descriptor without its tag; other annotations and members stay. */
export function withoutTag(json: string): string {
  const { annotations, ...others } = JSON.parse(json) as JsonObject;
  if (!isJsonObject(annotations)) return JSON.stringify(others);
  const rest = Object.entries(annotations).filter(([key]) => key !== REF_NAME);
  return JSON.stringify(rest.length === 0 ? others : { ...others, annotations: Object.fromEntries(rest) });
}
