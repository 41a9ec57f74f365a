/**
 * Quotas: limits on the bytes under prefixes of repository names.
 *
 * What is used is counted by the index with each change (`quota-contract.ts`). What is promised to uploads and to
 * changes under way is reserved here, in the keeper's memory; for uploads the truth are their files, from which the
 * reservations are made again after a start. A promise is made only when all quotas of the repository have room for
 * it beside what is used and what is promised to others, so that they are never exceeded, however many push at once.
 */
import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import { RegistryError } from '#oci/errors';
import { byteSize } from '#lib/byte-text';
import type { RepoName } from '#oci/repo-name';
import type { RepoPrefix } from '#oci/repo-prefix';
import type { Storage } from '#storage';
import type { UploadRef } from '../keeper-contract.ts';
import { QuotaLedger } from './quota-ledger.ts';
import type { Quota } from './quota-ledger.ts';

export interface QuotaDeskParts {
  readonly storage: Storage;
  readonly index: IndexWriter;
}

/** What a change asks of one quota. */
interface Ask {
  readonly quota: Quota;
  readonly bytes: number;
}

/** A digest that stands under a prefix already, so that a change that adds it again is promised nothing. */
interface Pin {
  readonly prefix: RepoPrefix;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** The share of what is left that an upload of unknown length may reserve ahead of its bytes. */
const AHEAD_SHARE = 1 / 64;
/** Times that a change waits for others to become usage before it is refused. */
const WAITS_MAX = 1000;

export class QuotaDesk {
  #index: IndexWriter;
  #storage: Storage;
  #ledger = new QuotaLedger();
  #pins = new Set<Pin>();
  #additions = 0;

  constructor(parts: QuotaDeskParts) {
    this.#index = parts.index;
    this.#storage = parts.storage;
  }

  setQuotas(quotas: readonly Quota[]): void {
    this.#ledger.setQuotas(quotas);
  }

  get quotas(): readonly Quota[] {
    return this.#ledger.quotas;
  }

  /** Whether a repository counts toward some quota. */
  covers(repo: RepoName): boolean {
    return this.#ledger.over(repo).length > 0;
  }

  /** What is promised under a prefix. */
  reservedBytes(prefix: RepoPrefix): number {
    return this.#ledger.reservedBytes(prefix);
  }

  // --- uploads ---

  /**
   * Promises an upload that it may grow to `neededBytes` in all, or a little further up to `wantedBytes`; gives how
   * far. Asked for nothing it only proves that something is left. Throws `DENIED` with the numbers.
   */
  async reserveUpload(upload: UploadRef, neededBytes: number, wantedBytes: number): Promise<number> {
    const quotas = this.#ledger.over(upload.repo);
    if (quotas.length === 0) return wantedBytes;
    const key = keyOf(upload);
    const asks = quotas.map((quota) => ({ quota, bytes: neededBytes }));
    const leftBytes = await this.#reserve(key, asks);
    const aheadBytes = Math.min(wantedBytes - neededBytes, Math.floor(leftBytes * AHEAD_SHARE));
    if (aheadBytes <= 0) return neededBytes;
    for (const { prefix } of quotas) {
      const heldBytes = this.#ledger.heldBytes(key, prefix);
      this.#ledger.set(key, prefix, Math.max(heldBytes, neededBytes + aheadBytes));
    }
    return neededBytes + aheadBytes;
  }

  /** Nobody writes to an upload any more: it holds what is in its file, and nothing when that is gone. */
  async settleUpload(upload: UploadRef): Promise<void> {
    const key = keyOf(upload);
    const quotas = this.#ledger.over(upload.repo);
    if (quotas.length === 0 && !this.#ledger.has(key)) return;
    const sizeBytes = await this.#storage.repository(upload.repo).uploadSizeBytes(upload.id);
    if (sizeBytes === null || sizeBytes === 0) return this.#ledger.drop(key);
    for (const { prefix } of quotas) this.#ledger.set(key, prefix, sizeBytes);
  }

  /** An upload is gone. */
  dropUpload(upload: UploadRef): void {
    this.#ledger.drop(keyOf(upload));
  }

  /** Reserves what the files of a repository's uploads hold, as after a start. */
  async restoreUploads(repo: RepoName): Promise<void> {
    const quotas = this.#ledger.over(repo);
    if (quotas.length === 0) return;
    const store = this.#storage.repository(repo);
    for await (const id of store.listUploads()) {
      const key = keyOf({ repo, id });
      const sizeBytes = (await store.uploadSizeBytes(id)) ?? 0;
      // Who writes to it now has reserved more already.
      for (const { prefix } of quotas)
        if (this.#ledger.heldBytes(key, prefix) < sizeBytes) this.#ledger.set(key, prefix, sizeBytes);
    }
  }

  /** Runs the work that makes an upload a blob of this size. Throws `DENIED` where it was promised less. */
  async whileFinishing(upload: UploadRef, sizeBytes: number, work: () => Promise<void>): Promise<void> {
    if (!this.covers(upload.repo)) {
      await work();
      return this.#ledger.drop(keyOf(upload));
    }
    if (sizeBytes > 0) await this.reserveUpload(upload, sizeBytes, sizeBytes);
    await this.#ledger.settle(keyOf(upload), work);
  }

  // --- blobs whose digest is known ---

  /**
   * Runs the work that makes a blob stand in a repository. Throws `DENIED` where its bytes are new to a quota that has
   * no room for them.
   */
  async whileAdding<Result>(
    repo: RepoName,
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    work: () => Promise<Result>,
  ): Promise<Result> {
    const quotas = this.#ledger.over(repo);
    if (quotas.length === 0) return work();
    const pins: Pin[] = [];
    const asks: Ask[] = [];
    this.#additions += 1;
    const key = `addition ${this.#additions}`;
    try {
      for (const quota of quotas) {
        const { prefix } = quota;
        const pin = { prefix, digest, sizeBytes };
        // Before it is looked for: it may be removed meanwhile.
        this.#pins.add(pin);
        if (await this.#index.isUnderPrefix(prefix, digest)) pins.push(pin);
        else {
          this.#pins.delete(pin);
          asks.push({ quota, bytes: sizeBytes });
        }
      }
      if (asks.length === 0) return await work();
      await this.#reserve(key, asks);
      return await this.#ledger.settle(key, work);
    } finally {
      for (const pin of pins) this.#pins.delete(pin);
      this.#ledger.drop(key);
    }
  }

  /** Runs the work that makes many blobs stand in a repository. Throws `DENIED` where a quota has no room for them. */
  async whileMoving<Result>(
    repo: RepoName,
    blobs: AsyncIterable<{ readonly digest: Digest; readonly sizeBytes: number }>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const quotas = this.#ledger.over(repo);
    if (quotas.length === 0) return work();
    const newBytes = new Map<Quota, number>();
    for await (const { digest, sizeBytes } of blobs) {
      for (const quota of quotas)
        if (!(await this.#index.isUnderPrefix(quota.prefix, digest)))
          newBytes.set(quota, (newBytes.get(quota) ?? 0) + sizeBytes);
    }
    if (newBytes.size === 0) return work();
    this.#additions += 1;
    const key = `move ${this.#additions}`;
    try {
      await this.#reserve(
        key,
        [...newBytes].map(([quota, bytes]) => ({ quota, bytes })),
      );
      return await this.#ledger.settle(key, work);
    } finally {
      this.#ledger.drop(key);
    }
  }

  // --- promises ---

  /** Reserves for all asks or for none; gives what is left of the scarcest quota afterwards. */
  async #reserve(key: string, asks: readonly Ask[]): Promise<number> {
    const ledger = this.#ledger;
    for (let waits = 0; ;) {
      const { version } = ledger;
      const counted = await Promise.all(asks.map(({ quota }) => this.#countedBytes(quota.prefix)));
      // A reservation became usage after that was read: then it would be counted nowhere.
      if (version !== ledger.version) continue;
      // From here to the promise nothing else may run, or two would be promised the same bytes.
      const rooms = asks.map((ask, at) => roomOf(key, ask, counted[at] ?? 0, ledger));
      const short = rooms.find((room) => room.leftBytes < 0);
      if (short === undefined) {
        for (const { quota, bytes } of asks)
          ledger.set(key, quota.prefix, Math.max(bytes, ledger.heldBytes(key, quota.prefix)));
        return Math.min(...rooms.map(({ leftBytes }) => leftBytes));
      }
      // What is becoming usage may be counted twice, or turn out to be there already.
      const settling = ledger.settling(short.ask.quota.prefix);
      waits += 1;
      if (short.leftBytes + settling.bytes < 0 || waits > WAITS_MAX) throw exceeded(short, ledger);
      await settling.next;
    }
  }

  /** What is used of a quota, with digests that a change under way relies on and that were removed meanwhile. */
  async #countedBytes(prefix: RepoPrefix): Promise<number> {
    let bytes = await this.#index.prefixUsedBytes(prefix);
    for (const pin of this.#pins) {
      if (pin.prefix === prefix && !(await this.#index.isUnderPrefix(prefix, pin.digest)))
        bytes += pin.sizeBytes;
    }
    return bytes;
  }
}

/** What an ask finds. */
interface Room {
  readonly ask: Ask;
  readonly countedBytes: number;
  /** Negative where the ask has no room. */
  readonly leftBytes: number;
}

function roomOf(key: string, ask: Ask, countedBytes: number, ledger: QuotaLedger): Room {
  const { prefix, maxBytes } = ask.quota;
  const heldBytes = ledger.heldBytes(key, prefix);
  const freeBytes = maxBytes - countedBytes - (ledger.reservedBytes(prefix) - heldBytes);
  // What was promised once stays promised, also when the limit became lower.
  const isPromised = ask.bytes > 0 && ask.bytes <= heldBytes;
  // Who asks for nothing wants to know whether a byte is left.
  const leftBytes = freeBytes - Math.max(ask.bytes, 1);
  return { ask, countedBytes, leftBytes: isPromised ? Math.max(0, leftBytes) : leftBytes };
}

function keyOf(upload: UploadRef): string {
  return `${upload.repo} ${upload.id}`;
}

function exceeded({ ask, countedBytes }: Room, ledger: QuotaLedger): RegistryError {
  const { prefix, maxBytes } = ask.quota;
  const reservedBytes = ledger.reservedBytes(prefix);
  const whose = prefix === '' ? 'the quota of this registry' : `the quota of "${prefix}"`;
  const reserved = reservedBytes === 0 ? '' : ` and ${byteSize(reservedBytes)} reserved by uploads`;
  const lacking = ask.bytes === 0 ? 'nothing is left' : `there is no room for ${byteSize(ask.bytes)}`;
  return new RegistryError('DENIED', {
    message: `${whose} is ${byteSize(maxBytes)}, of which ${byteSize(countedBytes)} are used${reserved}: ${lacking}`,
    detail: { quota: prefix, limit: maxBytes, used: countedBytes, reserved: reservedBytes, asked: ask.bytes },
  });
}
