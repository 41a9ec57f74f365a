import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

/** Digests that a watch remembers; one that has to remember more counts as overtaken. */
const DIGESTS_MAX = 100_000;

/** What happened in a repository since somebody began to judge what is in it. */
export class RepositoryWatch {
  readonly repo: RepoName;
  readonly #pushed = new Set<Digest>();
  readonly #pulled = new Set<Digest>();
  #overtaken = false;
  #onClose: () => void;

  constructor(repo: RepoName, onClose: () => void) {
    this.repo = repo;
    this.#onClose = onClose;
  }

  /**
   * Whether something left that may have counted among what is kept, so that other things would be kept in its place:
   * the judgement must be made again.
   */
  get isOvertaken(): boolean {
    return this.#overtaken;
  }

  isPushed(digest: Digest): boolean {
    return this.#pushed.has(digest);
  }

  isPulled(digest: Digest): boolean {
    return this.#pulled.has(digest);
  }

  push(digest: Digest): void {
    this.#remember(this.#pushed, digest);
  }

  pull(digest: Digest): void {
    this.#remember(this.#pulled, digest);
  }

  overtake(): void {
    this.#overtaken = true;
  }

  /** Ends it; what happens from then on is not remembered. */
  close(): void {
    this.#onClose();
  }

  #remember(digests: Set<Digest>, digest: Digest): void {
    if (digests.size < DIGESTS_MAX) digests.add(digest);
    else this.#overtaken = true;
  }
}
