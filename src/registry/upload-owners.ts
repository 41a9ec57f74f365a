import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { RepoName } from '#oci/repo-name';
import { parseUploadId } from '#oci/upload-id';
import type { UploadId } from '#oci/upload-id';
import type { UploadRef } from './keeper/keeper-contract.ts';

/** Half of an id is random, the other half proves whose it is. */
const HALF_BYTES = 8;

/**
 * Says whose upload an id is, without keeping anything: an id is a UUID (version 8, RFC 9562 section 5.8) whose second
 * half is a keyed hash of its first half, the repository and the owner. Every process that has the key knows, also
 * after a restart; an id of one user or repository is worth nothing to another.
 */
export class UploadOwners {
  #key: Buffer;

  /** `key`: a secret of 32 bytes that all processes share. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** An id for an upload of this owner; '' is everybody who has no name. */
  newId(repo: RepoName, owner: string): UploadId {
    const head = randomBytes(HALF_BYTES);
    head[6] = 0x80 | ((head[6] ?? 0) & 0x0f);
    const hex = Buffer.concat([head, this.#proof(repo, owner, head)]).toString('hex');
    return parseUploadId(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
  }

  isOwner(upload: UploadRef, owner: string): boolean {
    const bytes = Buffer.from(upload.id.replaceAll('-', ''), 'hex');
    const head = bytes.subarray(0, HALF_BYTES);
    return timingSafeEqual(bytes.subarray(HALF_BYTES), this.#proof(upload.repo, owner, head));
  }

  #proof(repo: RepoName, owner: string, head: Buffer): Buffer {
    const hash = createHmac('sha256', this.#key).update(`${repo}\n${owner}\n`).update(head).digest();
    const proof = hash.subarray(0, HALF_BYTES);
    proof[0] = 0x80 | ((proof[0] ?? 0) & 0x3f);
    return proof;
  }
}
