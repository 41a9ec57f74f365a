import type { Crowd } from './fixtures/crowd.ts';
import type { LoadGenerator } from './load/remote.ts';
import type { Subject } from './subjects/subject.ts';

/** What every scenario runs with. */
export interface Bench {
  subjects: Subject[];
  /** Stores, logs and configurations lie here. */
  workFolder: string;
  rounds: number;
  durationMs: number;
  quick: boolean;
  generator: LoadGenerator;
  /** How large the store of very many blobs is. */
  crowd: Crowd;
  /** Use wrk where it can do the work. */
  wrk: boolean;
  say(text: string): void;
}
