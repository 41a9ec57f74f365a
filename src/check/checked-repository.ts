import type { WeightedLru } from '#lib/weighted-lru';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';
import { RepositoryStore, StorageError } from '#storage';
import type { ListEntry, StorageDriver } from '#storage';
import { findingOf } from './finding.ts';
import type { Finding, FindingKind, Place } from './finding.ts';

/** Counted over the whole check. */
export interface Totals {
  repositories: number;
  manifests: number;
  blobs: number;
  bytesRead: number;
}

export interface CheckParts {
  readonly driver: StorageDriver;
  /** Whether every blob is read. */
  readonly deep: boolean;
  readonly totals: Totals;
  /** Digests that files turned out to have, by algorithm and fingerprint. */
  readonly hashed: WeightedLru<string, Digest>;
  /** Called after each blob, so that a check of one large repository is not silent. */
  readonly tell: () => void;
}

/** One repository under examination: its files, and what was found in it so far. */
export class CheckedRepository {
  readonly name: RepoName;
  readonly store: RepositoryStore;
  readonly deep: boolean;
  readonly totals: Totals;
  readonly hashed: WeightedLru<string, Digest>;
  readonly tell: () => void;
  readonly findings: Finding[] = [];
  #driver: StorageDriver;
  #reported = new Set<Digest>();
  #proven = new Set<Digest>();

  constructor(name: RepoName, parts: CheckParts) {
    this.name = name;
    this.store = new RepositoryStore(name, parts.driver, false);
    this.deep = parts.deep;
    this.totals = parts.totals;
    this.hashed = parts.hashed;
    this.tell = parts.tell;
    this.#driver = parts.driver;
  }

  /** Reports something at a path below the repository. */
  report(kind: FindingKind, place: Place): void {
    this.findings.push(
      findingOf(kind, { ...place, repository: this.name, path: `${this.name}/${place.path}` }),
    );
  }

  /** Reports something of a blob or manifest, which is then reported no further. */
  reportBlob(kind: FindingKind, digest: Digest, detail = ''): void {
    this.#reported.add(digest);
    this.report(kind, { digest, path: `blobs/${digest.replace(':', '/')}`, detail });
  }

  isReported(digest: Digest): boolean {
    return this.#reported.has(digest);
  }

  /** Notes that a content was read and has its digest. */
  prove(digest: Digest): void {
    this.#proven.add(digest);
  }

  isProven(digest: Digest): boolean {
    return this.#proven.has(digest);
  }

  /** A whole small file, `null` when there is none; reports and throws when it cannot be read. */
  readFile(path: string, sizeBytesMax: number): Promise<Buffer | null> {
    return this.#driver.read(`${this.name}/${path}`, sizeBytesMax);
  }

  /** What lies in a folder; a folder that cannot be read is reported. */
  async *list(path: string): AsyncIterable<ListEntry> {
    try {
      yield* this.#driver.list(`${this.name}/${path}`);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.report('cannot-be-read', { path, detail: error.message });
    }
  }
}
