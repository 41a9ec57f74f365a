import { RegistryError } from '#oci/errors';
import type { RepoName } from '#oci/repo-name';
import { prefixesOf } from '#oci/repo-prefix';
import type { RepoPrefix } from '#oci/repo-prefix';

/** A limit on the bytes under a prefix. */
export interface Quota {
  readonly prefix: RepoPrefix;
  readonly maxBytes: number;
}

/** A quota as it stands, for whoever asks. */
export interface QuotaStatus extends Quota {
  readonly usedBytes: number;
  /** Promised to uploads under way. */
  readonly reservedBytes: number;
  /** False while what a process that was killed may have left is still being looked for. */
  readonly isExact: boolean;
}

/** Bytes promised to something under way (an upload, a blob that is being added), by the prefix that they count for. */
type Reservation = Map<RepoPrefix, number>;

/** Reservations kept at most; beyond that uploads under quotas are refused rather than gathered without bound. */
const RESERVATIONS_MAX = 200_000;

/**
 * What was promised under the quotas in force. Owns: the reservations. Invariant: `reservedBytes` of a prefix is the
 * sum of what its reservations hold. `version` grows with each reservation that shrinks: what was read of the usage
 * before then may lack what that reservation became.
 */
export class QuotaLedger {
  #quotas = new Map<RepoPrefix, Quota>();
  #reservations = new Map<string, Reservation>();
  #reservedBytes = new Map<RepoPrefix, number>();
  /** Reservations that are becoming part of the usage, and may be counted twice meanwhile. */
  #settling = new Map<string, Promise<void>>();
  #version = 0;

  /** Puts quotas in force; what is reserved stays reserved. */
  setQuotas(quotas: readonly Quota[]): void {
    this.#quotas = new Map(quotas.map((quota) => [quota.prefix, quota]));
  }

  get quotas(): readonly Quota[] {
    return [...this.#quotas.values()];
  }

  get version(): number {
    return this.#version;
  }

  /** The quotas that a repository counts toward. */
  over(repo: RepoName): readonly Quota[] {
    if (this.#quotas.size === 0) return [];
    return prefixesOf(repo).flatMap((prefix) => this.#quotas.get(prefix) ?? []);
  }

  reservedBytes(prefix: RepoPrefix): number {
    return this.#reservedBytes.get(prefix) ?? 0;
  }

  /** What one reservation holds of a quota. */
  heldBytes(key: string, prefix: RepoPrefix): number {
    return this.#reservations.get(key)?.get(prefix) ?? 0;
  }

  has(key: string): boolean {
    return this.#reservations.has(key);
  }

  /** Makes a reservation hold exactly this much of a quota. */
  set(key: string, prefix: RepoPrefix, bytes: number): void {
    const before = this.heldBytes(key, prefix);
    if (bytes === before) return;
    if (bytes < before) this.#version += 1;
    const reservation = this.#reservations.get(key) ?? this.#begin(key);
    reservation.set(prefix, bytes);
    this.#reservedBytes.set(prefix, this.reservedBytes(prefix) + bytes - before);
  }

  #begin(key: string): Reservation {
    if (this.#reservations.size >= RESERVATIONS_MAX) {
      const message = 'too many uploads are open under quotas, try again later';
      throw new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds: 60 });
    }
    const reservation: Reservation = new Map();
    this.#reservations.set(key, reservation);
    return reservation;
  }

  drop(key: string): void {
    const held = this.#reservations.get(key);
    if (held === undefined) return;
    for (const prefix of held.keys()) this.set(key, prefix, 0);
    this.#reservations.delete(key);
  }

  /** Runs work that turns a reservation into usage, and drops it when that succeeded. */
  async settle<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settling.set(key, promise);
    try {
      const result = await work();
      this.drop(key);
      return result;
    } finally {
      this.#settling.delete(key);
      resolve();
    }
  }

  /** What is about to become usage of a quota: how much at most, and when the first of it has. */
  settling(prefix: RepoPrefix): { readonly bytes: number; readonly next: Promise<void> } {
    const held = [...this.#settling].filter(([key]) => this.heldBytes(key, prefix) > 0);
    const bytes = held.reduce((sum, [key]) => sum + this.heldBytes(key, prefix), 0);
    return { bytes, next: Promise.race(held.map(([, settled]) => settled)) };
  }
}
