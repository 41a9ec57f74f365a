import { createHash } from 'node:crypto';
import type { Connection } from '../load/connection.ts';
import { MANIFEST_TYPE } from '../load/image.ts';
import { ask } from '../load/operations.ts';

/** Reads a path and insists that its bytes have the digest (sha256): speed without the right bytes is worth nothing. */
export async function fetchAndHash(connection: Connection, path: string, digest: string): Promise<void> {
  const headers = `Accept: ${MANIFEST_TYPE}, */*\r\n`;
  const answer = await ask(connection, { method: 'GET', path, headers, keepBody: true }, 200);
  const found = `sha256:${createHash('sha256')
    .update(answer.body ?? '')
    .digest('hex')}`;
  if (found !== digest) throw new Error(`${path} gave the bytes of ${found} instead of ${digest}`);
}
