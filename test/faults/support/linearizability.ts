/**
 * Whether a history of one tag can be explained by a single order of its operations, in which each takes effect at
 * one moment between its call and its answer (Wing and Gong's search, with the visited states remembered).
 */
export type TagOperation =
  /** Makes the tag name a digest. */
  | { readonly kind: 'put'; readonly digest: string }
  /** Removes the tag; `found`: whether it was there. */
  | { readonly kind: 'delete'; readonly found: boolean | null }
  /** Reads what the tag names; `null`: absent. */
  | { readonly kind: 'get'; readonly digest: string | null }
  /** Reads only whether the tag is there, as in a list of tags. */
  | { readonly kind: 'seen'; readonly present: boolean };

export interface Recorded {
  readonly operation: TagOperation;
  readonly calledMs: number;
  /** `null`: nobody knows the answer; the operation may take effect at any later time, or never. */
  readonly answeredMs: number | null;
  /** Who asked, for messages. */
  readonly client: string;
}

type State = string | null;

/** The state after an operation that gave its answer in `state`; `undefined`: it cannot have given that answer. */
function step(state: State, { operation, answeredMs }: Recorded): State | undefined {
  switch (operation.kind) {
    case 'put':
      return operation.digest;
    case 'delete':
      return answeredMs !== null && operation.found !== (state !== null) ? undefined : null;
    case 'get':
      return operation.digest === state ? state : undefined;
    case 'seen':
      return operation.present === (state !== null) ? state : undefined;
  }
}

/** A call or an answer in the order of time, in a list that operations are taken out of and put back into. */
interface Entry {
  readonly at: number;
  readonly recorded: Recorded;
  /** Of a call: its answer. */
  readonly answer: Entry | null;
  readonly isCall: boolean;
  before: Entry | null;
  after: Entry | null;
}

/** `null` when there is such an order; otherwise where the search got stuck. */
export function explain(history: readonly Recorded[]): string | null {
  return new Search(history).run();
}

/** Takes calls out of the list, in an order that fits, until no answer is left; goes back where none fits. */
class Search {
  #history: readonly Recorded[];
  #head: Entry;
  #open: number;
  #state: State = null;
  #linearized = 0n;
  #taken: { entry: Entry; state: State }[] = [];
  #visited = new Set<string>();
  #furthest: readonly Recorded[] = [];

  constructor(history: readonly Recorded[]) {
    this.#history = history;
    this.#head = listOf(history);
    this.#open = history.filter(({ answeredMs }) => answeredMs !== null).length;
  }

  run(): string | null {
    let entry = this.#head.after;
    // Operations without an answer may be left over.
    while (this.#open > 0) {
      if (entry?.isCall === true) {
        entry = this.#take(entry) ? this.#head.after : entry.after;
        continue;
      }
      // An answer is reached whose operation fits nowhere before it: the last choice was wrong.
      const last = this.#goBack();
      if (last === null) return describe(this.#history, this.#furthest);
      entry = last.after;
    }
    return null;
  }

  /** Lets an operation take effect next, unless it cannot, or that was tried. */
  #take(call: Entry): boolean {
    const next = step(this.#state, call.recorded);
    const linearized = this.#linearized | (1n << BigInt(call.at));
    const key = `${linearized.toString(36)} ${next}`;
    if (next === undefined || this.#visited.has(key)) return false;
    this.#visited.add(key);
    this.#taken.push({ entry: call, state: this.#state });
    this.#state = next;
    this.#linearized = linearized;
    if (call.answer !== null) this.#open -= 1;
    lift(call);
    return true;
  }

  #goBack(): Entry | null {
    if (this.#taken.length > this.#furthest.length) {
      this.#furthest = this.#taken.map(({ entry: { recorded } }) => recorded);
    }
    const last = this.#taken.pop();
    if (last === undefined) return null;
    this.#state = last.state;
    this.#linearized &= ~(1n << BigInt(last.entry.at));
    if (last.entry.answer !== null) this.#open += 1;
    putBack(last.entry);
    return last.entry;
  }
}

function listOf(history: readonly Recorded[]): Entry {
  const events: { timeMs: number; entry: Entry }[] = [];
  for (const [at, recorded] of history.entries()) {
    const answer: Entry | null =
      recorded.answeredMs === null
        ? null
        : { at, recorded, answer: null, isCall: false, before: null, after: null };
    const call: Entry = { at, recorded, answer, isCall: true, before: null, after: null };
    events.push({ timeMs: recorded.calledMs, entry: call });
    if (answer !== null) events.push({ timeMs: recorded.answeredMs ?? 0, entry: answer });
  }
  // At the same time calls come first: such operations count as concurrent.
  events.sort((a, b) => a.timeMs - b.timeMs || Number(b.entry.isCall) - Number(a.entry.isCall));
  const nobody: Recorded = {
    operation: { kind: 'seen', present: false },
    calledMs: 0,
    answeredMs: null,
    client: '',
  };
  const head: Entry = { at: -1, recorded: nobody, answer: null, isCall: true, before: null, after: null };
  let last = head;
  for (const { entry } of events) {
    last.after = entry;
    entry.before = last;
    last = entry;
  }
  return head;
}

function lift(call: Entry): void {
  for (const entry of [call, call.answer]) {
    if (entry === null) continue;
    if (entry.before !== null) entry.before.after = entry.after;
    if (entry.after !== null) entry.after.before = entry.before;
  }
}

function putBack(call: Entry): void {
  for (const entry of [call.answer, call]) {
    if (entry === null) continue;
    if (entry.before !== null) entry.before.after = entry;
    if (entry.after !== null) entry.after.before = entry;
  }
}

const SHOWN = 12;

/** The operations that the search could not go past, in the order of their calls. */
function describe(history: readonly Recorded[], explained: readonly Recorded[]): string {
  const known = new Set(explained);
  const left = history.filter((recorded) => !known.has(recorded)).toSorted((a, b) => a.calledMs - b.calledMs);
  const shown = [...explained.slice(-SHOWN), ...left.slice(0, SHOWN)];
  const lines = shown.map(({ operation, calledMs, answeredMs, client }) => {
    const times = `${calledMs.toFixed(1)} to ${answeredMs === null ? 'unknown' : answeredMs.toFixed(1)}`;
    return `${client}: ${JSON.stringify(operation)} from ${times}`;
  });
  return `no order explains the last ${left.length} of ${history.length} operations:\n${lines.join('\n')}`;
}
