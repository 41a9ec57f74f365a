export interface FairQueueLimits {
  /** Entries that may wait in all. */
  readonly total: number;
  /** Entries of one source that may wait. */
  readonly perSource: number;
}

/**
 * A queue in which sources take turns, so that one that puts in much holds up itself alone. Entries of the fast lane
 * go before all others, and have room of their own.
 */
export class FairQueue<Entry> {
  #limits: FairQueueLimits;
  #fast: Entry[] = [];
  /** The order of the map is the order of the turns. */
  #bySource = new Map<string, Entry[]>();
  #waiting = 0;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#waiting + this.#fast.length;
  }

  /** Gives whether there was room. */
  add(source: string, entry: Entry, lane: 'fast' | 'fair'): boolean {
    if (lane === 'fast') {
      if (this.#fast.length >= this.#limits.total) return false;
      this.#fast.push(entry);
      return true;
    }
    const own = this.#bySource.get(source);
    if (this.#waiting >= this.#limits.total || (own?.length ?? 0) >= this.#limits.perSource) return false;
    if (own === undefined) this.#bySource.set(source, [entry]);
    else own.push(entry);
    this.#waiting += 1;
    return true;
  }

  take(): Entry | null {
    const fast = this.#fast.shift();
    if (fast !== undefined) return fast;
    const [turn] = this.#bySource;
    if (turn === undefined) return null;
    const [source, own] = turn;
    const entry = own.shift();
    this.#bySource.delete(source);
    if (own.length > 0) this.#bySource.set(source, own);
    if (entry === undefined) return null;
    this.#waiting -= 1;
    return entry;
  }
}
