import { WeightedLru } from '#lib/weighted-lru';
import type { RepoName } from '#oci/repo-name';
import type { FileStat } from '#storage';

/** What is known of a file whose bytes were proven. */
export interface ProvenCopy {
  /** A repository with a name of it. */
  readonly place: RepoName;
  /** The file; `null`: whichever stands in `place`, where this process put it and nobody has looked since. */
  readonly identity: string | null;
  /** Between these the file was last changed, if it was by this process; another time says that others did it. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Its bytes are on the disk where the store is durable. */
  readonly isDurable: boolean;
}

/** Contents of which a proven file is remembered; one that is forgotten costs a reading when it is pushed again. */
const REMEMBERED_MAX = 30_000;
/** A time that is set goes through fractions of seconds, and comes back as much earlier. */
const ROUNDING_MS = 1;

/**
 * Files whose bytes have their digest, as this process knows: it placed them, or read them, since it started. One for
 * each content of a store, the last that was proven. A file is known by its inode and the time of its last change:
 * linking it changes that time, which is told here, so that a change by anybody else shows.
 */
export class ProvenCopies {
  #copies = new WeightedLru<string, ProvenCopy>(REMEMBERED_MAX);
  #nowMs: () => number;

  /** `nowMs`: the clock that file times are taken from. */
  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
  }

  find(key: string): ProvenCopy | undefined {
    return this.#copies.get(key);
  }

  /** Proven bytes were just put in a place, by a new file. */
  placed(key: string, place: RepoName): void {
    const toMs = this.#nowMs();
    this.#copies.set(key, { place, identity: null, fromMs: 0, toMs, isDurable: true });
  }

  /** A file was read, was not changed meanwhile, and is sound. */
  read(key: string, place: RepoName, stat: FileStat): void {
    const known = this.#copies.get(key);
    const version = versionOf(stat);
    const isDurable = known?.isDurable === true && known.identity === version.identity;
    this.#copies.set(key, { place, ...version, isDurable });
  }

  /** A proven file, looked at before, was linked to another name, and by that synced where the store is durable. */
  linked(key: string, place: RepoName, before: FileStat): void {
    const { identity, fromMs, toMs } = versionOf(before);
    this.#copies.set(key, { place, identity, fromMs, toMs: Math.max(toMs, this.#nowMs()), isDurable: true });
  }

  /**
   * As `linked`, for a file of which nobody knows whether it was proven, nor whether it is still what was looked at:
   * what was placed meanwhile may have been linked instead.
   */
  mounted(key: string, names: { readonly from: RepoName; readonly to: RepoName }, before: FileStat): void {
    const known = this.#copies.get(key);
    if (known === undefined) return;
    if (known.identity !== null) {
      if (covers(known, names.from, before)) this.linked(key, names.from, before);
    } else if (known.place === names.from) {
      this.#copies.set(key, { ...known, toMs: Math.max(known.toMs, this.#nowMs()) });
    } else if (known.place === names.to) {
      // What stands there now is not what was placed.
      this.#copies.delete(key);
    }
  }

  forget(key: string): void {
    this.#copies.delete(key);
  }
}

/** Whether a file, found in a repository, is the one that was proven, and nobody else changed it since. */
export function covers(copy: ProvenCopy, repo: RepoName, stat: FileStat): boolean {
  const isFile = copy.identity === null ? copy.place === repo : copy.identity === identityOf(stat);
  return isFile && stat.modifiedMs >= copy.fromMs - ROUNDING_MS && stat.modifiedMs <= copy.toMs;
}

function versionOf(stat: FileStat): Pick<ProvenCopy, 'identity' | 'fromMs' | 'toMs'> {
  return { identity: identityOf(stat), fromMs: stat.modifiedMs, toMs: stat.modifiedMs };
}

function identityOf(stat: FileStat): string {
  return stat.identity ?? stat.fingerprint;
}
