/**
 * Upload sessions (distribution-spec, "Pushing Blobs"): bytes go into a file of the repository's `.uploads`
 * folder and get their name as a blob when their digest is proven.
 *
 * Order of writes when an upload is finished: last bytes -> digest compared -> fsync of the file (if durable) ->
 * renamed to its place by the keeper, with the folder synced -> recorded in the index -> answer.
 * A body that breaks off keeps what arrived, so that the client can resume from there.
 */
import type { Hash } from 'node:crypto';
import { WeightedLru } from '#lib/weighted-lru';
import { digestAlgorithm, digestSoFar } from '#oci/digest';
import type { Digest, DigestAlgorithm } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import { newUploadId } from '#oci/upload-id';
import type { UploadId } from '#oci/upload-id';
import { UploadWriter } from '#storage';
import type { RepositoryStore, Storage } from '#storage';
import type { Keeper, RevokeReason, UploadProgress, UploadRef } from './keeper/keeper-contract.ts';
import type { SpaceGuard } from './space-guard.ts';
import { UploadAllowance, isQuotaRefusal } from './upload-allowance.ts';
import type { UploadOwners } from './upload-owners.ts';

/** A body as it arrives. Iterating ends normally only when the whole body was received. */
export interface BodySource extends AsyncIterable<Buffer> {
  /** Makes the iteration throw at once, also while it waits for a client that says nothing. */
  stop(error: Error): void;
}

export interface UploadBody {
  readonly source: BodySource;
  /** Where the client says its bytes begin; absent: at the end of what is there. */
  readonly offset?: number;
  /** How many bytes the client announced; absent: unknown. */
  readonly sizeBytes?: number;
}

export interface UploadsParts {
  readonly storage: Storage;
  readonly keeper: Keeper;
  readonly guard: SpaceGuard;
  readonly isUnderQuota: (repo: RepoName) => boolean;
  readonly owners: UploadOwners;
  readonly report: (problem: string, error: unknown) => void;
}

interface RunningHash {
  readonly hash: Hash;
  readonly sizeBytes: number;
}

interface Claim {
  /** What other processes know of the bytes so far. */
  progress: UploadProgress | null;
  /** Aborted when the claim ends early, with the error to answer with as its reason. */
  readonly signal: AbortSignal;
  /** Set when the keeper that gave it is gone: then others may have one too. */
  isLost: boolean;
  /** Set when the upload exists no more, so that there is nothing to give back. */
  ended: boolean;
}

/** Running hashes kept between the requests of one upload; one that is lost costs one more reading of the file. */
const HASHES_MAX = 2000;
/** The keeper hears of begun uploads this often; those of a process that is killed are found after the next start. */
const NOTE_MS = 1000;
const BEGUN_MAX = 100_000;
const DEFAULT_ALGORITHM: DigestAlgorithm = 'sha256';

export class Uploads {
  #parts: UploadsParts;
  #hashes = new WeightedLru<UploadId, RunningHash>(HASHES_MAX);
  /** Where uploads were begun since the keeper was told last. */
  #begun = new Set<RepoName>();
  #timer: NodeJS.Timeout;

  constructor(parts: UploadsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.noteBegun(), NOTE_MS);
    this.#timer.unref();
  }

  /** Begins a session. `owner`: whoever alone may go on with it, '' for everybody without a name; `null`: anybody. */
  async start(repo: RepoName, owner: string | null = null): Promise<UploadId> {
    await this.#parts.guard.requireSpace(repo, 0);
    const store = this.#store(repo);
    const id = owner === null ? newUploadId() : this.#parts.owners.newId(repo, owner);
    // Where nothing is left the client hears so before it begins.
    if (this.#parts.isUnderQuota(repo)) await this.#parts.keeper.reserveUpload({ repo, id }, 0, 0);
    this.#begun.add(repo);
    return store.startUpload(id);
  }

  /** Tells the keeper where uploads were begun; what it cannot take now is told the next time. */
  async noteBegun(): Promise<void> {
    if (this.#begun.size === 0) return;
    const begun = [...this.#begun];
    this.#begun.clear();
    try {
      await this.#parts.keeper.noteUploads(begun);
    } catch (error) {
      this.#parts.report('uploads could not be noted', error);
      if (this.#begun.size < BEGUN_MAX) for (const repo of begun) this.#begun.add(repo);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    // Not waited for: a keeper that is gone finds them after its next start.
    void this.noteBegun();
  }

  /** Throws `BLOB_UPLOAD_UNKNOWN` for an upload that somebody else began, as for one that does not exist. */
  requireOwner(upload: UploadRef, owner: string | null): void {
    if (owner !== null && !this.#parts.owners.isOwner(upload, owner)) throw unknownUpload(upload);
  }

  /** Bytes received so far. Throws `BLOB_UPLOAD_UNKNOWN`. */
  async sizeBytes(upload: UploadRef): Promise<number> {
    const sizeBytes = await this.#store(upload.repo).uploadSizeBytes(upload.id);
    if (sizeBytes === null) throw unknownUpload(upload);
    return sizeBytes;
  }

  /**
   * Appends a body (distribution-spec, "Pushing a blob in chunks") and gives the size of the whole so far.
   * Throws `BLOB_UPLOAD_INVALID` (416) when it does not begin where the last one ended.
   */
  async append(upload: UploadRef, body: UploadBody): Promise<number> {
    await this.#parts.guard.requireSpace(upload.repo, body.sizeBytes ?? 0);
    return this.#claimed(upload, async (claim) => {
      const writer = await this.#open(upload);
      try {
        requireOffset(upload, body, writer.sizeBytes);
        await this.#take(upload, writer, body, claim.signal);
      } finally {
        await this.#letGo(upload, writer);
      }
      return writer.sizeBytes;
    });
  }

  /**
   * Ends a session, with a last body or none, and gives its bytes their name. The session stays when the digest
   * differs (`DIGEST_INVALID`), so that the client may try again with the right one.
   */
  async finish(upload: UploadRef, digest: Digest, body: UploadBody | null): Promise<void> {
    await this.#parts.guard.requireSpace(upload.repo, body?.sizeBytes ?? 0);
    await this.#claimed(upload, async (claim) => {
      const writer = await this.#open(upload);
      let known: Digest | null;
      try {
        if (body !== null) {
          requireOffset(upload, body, writer.sizeBytes);
          await this.#take(upload, writer, body, claim.signal);
        }
        known = this.#knownDigest(writer, digest, claim.progress);
        if (this.#parts.storage.storeOf(upload.repo).durable) await writer.sync();
      } finally {
        await this.#letGo(upload, writer);
      }
      const proven = known ?? (await this.#hashFile(upload, digestAlgorithm(digest)));
      if (proven !== digest) throw wrongDigest(digest, proven);
      // Without the claim somebody else may be writing, and what was proven may be so no more. A claim that is but
      // wanted is still ours.
      if (claim.isLost) claim.signal.throwIfAborted();
      await this.#parts.keeper.finishUpload(upload, { digest, sizeBytes: writer.sizeBytes });
      claim.ended = true;
      this.#hashes.delete(upload.id);
    });
  }

  /** Takes a blob in one request (distribution-spec, "Single POST"). Nothing is kept when it fails. */
  async pushWhole(repo: RepoName, digest: Digest, body: UploadBody): Promise<UploadId> {
    await this.#parts.guard.requireSpace(repo, body.sizeBytes ?? 0);
    const id = newUploadId();
    const upload = { repo, id };
    // What is reserved for it must end with it, whatever becomes of this process.
    const claims = this.#parts.isUnderQuota(repo);
    if (claims) await this.#parts.keeper.claimUpload(upload, () => undefined);
    try {
      await this.#pushWhole(upload, digest, body);
    } catch (error) {
      await this.#discard(upload);
      if (claims) await this.#parts.keeper.releaseUpload(upload, null);
      throw error;
    }
    return id;
  }

  async #pushWhole(upload: UploadRef, digest: Digest, body: UploadBody): Promise<void> {
    const { repo, id } = upload;
    const allowance = await this.#allowance(upload, 0, body);
    this.#begun.add(repo);
    const { writer } = await this.#store(repo).startUploadWriter(digestAlgorithm(digest), id);
    try {
      await this.#receive(writer, { body, signal: null, allowance });
      if (this.#parts.storage.storeOf(repo).durable) await writer.sync();
    } finally {
      await writer.close();
    }
    const proven = writer.digest();
    if (proven !== digest) throw wrongDigest(digest, proven);
    await this.#parts.keeper.finishUpload(upload, { digest, sizeBytes: writer.sizeBytes });
  }

  /** A client that is refused does not come back: what arrived must not keep the room of others until it is old. */
  async #giveUp(upload: UploadRef): Promise<void> {
    this.#hashes.delete(upload.id);
    await this.#discard(upload);
  }

  /** Removes what is left of a failed request, whose own error is what the client has to know. */
  async #discard(upload: UploadRef): Promise<void> {
    try {
      await this.#store(upload.repo).cancelUpload(upload.id);
    } catch (error) {
      // The collector finds it as an upload that nobody goes on with.
      this.#parts.report(`the upload ${upload.id} of ${upload.repo} is left behind`, error);
    }
  }

  /** Ends a session and forgets its bytes (distribution-spec, "Canceling an upload"). */
  async cancel(upload: UploadRef): Promise<void> {
    this.#parts.guard.requireWritable();
    this.#hashes.delete(upload.id);
    if (!(await this.#parts.keeper.cancelUpload(upload))) throw unknownUpload(upload);
  }

  /** Runs `work` as the only writer of the upload and notes the digest so far when it ends. */
  async #claimed<Result>(upload: UploadRef, work: (claim: Claim) => Promise<Result>): Promise<Result> {
    const revoked = new AbortController();
    const claim: Claim = { progress: null, signal: revoked.signal, isLost: false, ended: false };
    const progress = await this.#parts.keeper.claimUpload(upload, (why) => {
      claim.isLost ||= why === 'keeper gone';
      revoked.abort(endOfClaim(upload, why));
    });
    claim.progress = progress;
    try {
      return await work(claim);
    } catch (error) {
      if (isQuotaRefusal(error)) await this.#giveUp(upload);
      throw error;
    } finally {
      if (!claim.ended) await this.#release(upload, progress);
    }
  }

  async #release(upload: UploadRef, before: UploadProgress | null): Promise<void> {
    const running = this.#hashes.get(upload.id);
    const now =
      running === undefined ? before : { sizeBytes: running.sizeBytes, digest: digestOfRunning(running) };
    await this.#parts.keeper.releaseUpload(upload, now);
  }

  async #open(upload: UploadRef): Promise<UploadWriter> {
    const file = await this.#store(upload.repo).openUpload(upload.id);
    if (file === null) throw unknownUpload(upload);
    if (file.sizeBytes === 0) return UploadWriter.fresh(file, DEFAULT_ALGORITHM);
    const running = this.#hashes.get(upload.id);
    if (running?.sizeBytes === file.sizeBytes) return new UploadWriter(file, DEFAULT_ALGORITHM, running.hash);
    // Another process wrote since: its digest is with the keeper, ours proves nothing.
    this.#hashes.delete(upload.id);
    return new UploadWriter(file, DEFAULT_ALGORITHM, null);
  }

  async #take(upload: UploadRef, writer: UploadWriter, body: UploadBody, signal: AbortSignal): Promise<void> {
    const allowance = await this.#allowance(upload, writer.sizeBytes, body);
    await this.#receive(writer, { body, signal, allowance });
  }

  /** Room under the quotas for a body that follows `beforeBytes`; `null` where there are none. */
  async #allowance(
    upload: UploadRef,
    beforeBytes: number,
    body: UploadBody,
  ): Promise<UploadAllowance | null> {
    if (!this.#parts.isUnderQuota(upload.repo)) return null;
    const allowance = new UploadAllowance(upload, this.#parts.keeper);
    // A known length is asked for exactly, before any of it is read.
    if (body.sizeBytes === undefined) await allowance.require(beforeBytes);
    else await allowance.require(beforeBytes + body.sizeBytes, 0);
    return allowance;
  }

  async #receive(
    writer: UploadWriter,
    {
      body,
      signal,
      allowance,
    }: { body: UploadBody; signal: AbortSignal | null; allowance: UploadAllowance | null },
  ): Promise<void> {
    const before = writer.sizeBytes;
    // The reason is the error to answer with.
    const letGo = (): void => body.source.stop(signal?.reason as Error);
    signal?.addEventListener('abort', letGo, { once: true });
    try {
      signal?.throwIfAborted();
      for await (const chunk of body.source) {
        if (allowance !== null) await allowance.require(writer.sizeBytes + chunk.length);
        await writer.append(chunk);
      }
    } finally {
      signal?.removeEventListener('abort', letGo);
      // What arrived is kept also when the body broke off.
      await writer.flush();
    }
    const received = writer.sizeBytes - before;
    if (body.sizeBytes !== undefined && received !== body.sizeBytes) {
      throw new RegistryError('SIZE_INVALID', { detail: { expected: body.sizeBytes, received } });
    }
  }

  /** Closes the file and keeps the running hash for the next request. */
  async #letGo(upload: UploadRef, writer: UploadWriter): Promise<void> {
    if (writer.hash === null) this.#hashes.delete(upload.id);
    else this.#hashes.set(upload.id, { hash: writer.hash, sizeBytes: writer.sizeBytes });
    await writer.close();
  }

  /** The digest of the whole, if some process hashed it on the way in by the algorithm that is asked for. */
  #knownDigest(writer: UploadWriter, wanted: Digest, progress: UploadProgress | null): Digest | null {
    const algorithm = digestAlgorithm(wanted);
    if (algorithm === writer.algorithm && writer.hash !== null) return writer.digest();
    const usable = progress?.sizeBytes === writer.sizeBytes && digestAlgorithm(progress.digest) === algorithm;
    return usable ? progress.digest : null;
  }

  async #hashFile(upload: UploadRef, algorithm: DigestAlgorithm): Promise<Digest> {
    const hashed = await this.#store(upload.repo).hashUpload(upload.id, algorithm);
    if (hashed === null) throw unknownUpload(upload);
    return hashed.digest;
  }

  #store(repo: RepoName): RepositoryStore {
    return this.#parts.storage.repository(repo);
  }
}

function digestOfRunning(running: RunningHash): Digest {
  return digestSoFar(running.hash, DEFAULT_ALGORITHM);
}

function requireOffset(upload: UploadRef, body: UploadBody, sizeBytes: number): void {
  if (body.offset === undefined || body.offset === sizeBytes) return;
  throw new RegistryError('BLOB_UPLOAD_INVALID', {
    status: 416,
    message: `the chunk begins at ${body.offset}, but the upload has ${sizeBytes} bytes`,
    detail: { session_id: upload.id, size: sizeBytes },
  });
}

function unknownUpload(upload: UploadRef): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { session_id: upload.id } });
}

function endOfClaim(upload: UploadRef, why: RevokeReason): RegistryError {
  if (why === 'keeper gone') {
    return new RegistryError('UNAVAILABLE', {
      message: 'a process of the registry was lost: what arrived of the upload is kept',
      retryAfterSeconds: 1,
    });
  }
  return new RegistryError('BLOB_UPLOAD_INVALID', {
    status: 409,
    message: 'another request took this upload over',
    detail: { session_id: upload.id },
  });
}

function wrongDigest(expected: Digest, actual: Digest | null): RegistryError {
  return new RegistryError('DIGEST_INVALID', { detail: { digest: expected, actual: actual ?? '' } });
}
