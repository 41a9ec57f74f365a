import { randomUUID } from 'node:crypto';
import { RegistryError } from './errors.ts';

declare const uploadIdBrand: unique symbol;

/** The id of an upload session: a random UUID, as zot names its upload files. */
export type UploadId = string & { readonly [uploadIdBrand]: true };

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function newUploadId(): UploadId {
  return randomUUID() as string as UploadId;
}

export function isUploadId(text: string): text is UploadId {
  return PATTERN.test(text);
}

/** Text to upload id; anything else is an upload nobody knows, `BLOB_UPLOAD_UNKNOWN` (404). */
export function parseUploadId(text: string): UploadId {
  if (isUploadId(text)) return text;
  throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { session_id: text.slice(0, 100) } });
}
