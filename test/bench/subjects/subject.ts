import type { Origin } from '../load/connection.ts';
import type { StoreName } from '../fixtures/stores.ts';

/** The registry that the goals compare with. */
export const REFERENCE = 'docker-registry';

/** A registry under test, not yet running. */
export interface Subject {
  /** Names it in tables. */
  label: string;
  kind: 'zot' | 'distribution' | 'url';
  /** Whether it fsyncs before it acknowledges a write; null when unknown. */
  durable: boolean | null;
  /** Whether a repository listing such as referrers can be asked of it. */
  hasReferrers: boolean;
  /** The same registry with ways to sign in and many policies; absent where that is not measured. */
  readonly withAccess?: () => Subject;
  /** The same registry with other settings of `storage`; absent where it has none. */
  readonly withStorage?: (storage: object) => Subject;
  /** The Authorization header of somebody who may do everything in `bench/`. */
  authorization?: string;
  /** Why this store cannot be had here, or null when it can. */
  refuses(store: StoreName): string | null;
  /** Makes the store in the folder before the first start; starting again later keeps it. */
  fill(store: StoreName, root: string): void;
  /** Starts serving the folder and returns once the process runs; `answering` tells when it answers. */
  start(root: string): Promise<RunningServer>;
}

export interface RunningServer {
  origin: Origin;
  /** Root of the process tree to be measured; null when there is none to look at. */
  pid: number | null;
  stop(): Promise<void>;
}
