/**
 * zot's rules of retention, as pure values: what is known of tags goes in, a verdict for each comes out. A tag belongs
 * to the first entry of `keepTags` whose patterns match it. The rules of an entry look only at the tags of that entry,
 * and one that keeps a tag is enough.
 */
import { Largest } from '#lib/largest';

/** What is known of a tag, or of a manifest without one. */
export interface Facts {
  /** The tag, or the digest of what has none. */
  readonly name: string;
  /** The first push of its manifest, milliseconds since the epoch; `null`: nothing is known, and it is kept. */
  readonly pushedMs: number | null;
  /** The last pull of its manifest; `null`: none is known. */
  readonly pulledMs: number | null;
  /** False when it was here before pulls were counted, so that there may have been others. */
  readonly allPullsKnown: boolean;
}

/** The four rules; those of an entry are joined by "or". */
export interface KeepRules {
  /** 0: no rule. */
  readonly mostRecentlyPulledCount: number;
  readonly mostRecentlyPushedCount: number;
  /** `null`: no rule; 0 is one that keeps nothing. */
  readonly pulledWithinMs: number | null;
  readonly pushedWithinMs: number | null;
}

/** A rule that keeps something, in zot's words. */
export type KeepRule =
  | { readonly name: 'mostRecentlyPulledCount' | 'mostRecentlyPushedCount'; readonly count: number }
  | {
      readonly name: 'pulledWithin' | 'pushedWithin';
      readonly withinMs: number;
      /** Pulls were not counted for as long as that: it may have been pulled. */
      readonly isUnknown?: true;
    }
  | { readonly name: 'patterns' }
  /** Nothing is known of its times. */
  | { readonly name: 'no statistics' };

/** The times by which rules are judged. */
export interface RuleTimes {
  /** How long ago a moment was; negative when it lies in the future. */
  readonly ageMs: (atMs: number) => number;
  /** Since when pulls are counted at all. */
  readonly pullsBeganMs: number;
}

/** Whether any of the rules is set. */
export function hasRules(rules: KeepRules): boolean {
  return ranks(rules) || rules.pulledWithinMs !== null || rules.pushedWithinMs !== null;
}

/** Whether a rule compares things with each other, so that all of them must be seen. */
export function ranks(rules: KeepRules): boolean {
  return rules.mostRecentlyPulledCount > 0 || rules.mostRecentlyPushedCount > 0;
}

/** Whether a pull may keep something that no rule kept before. */
export function looksAtPulls(rules: KeepRules): boolean {
  return rules.mostRecentlyPulledCount > 0 || rules.pulledWithinMs !== null;
}

/** What the same rules look at together. To be shown everything before it is asked about anything. */
export class KeepGroup {
  readonly rules: KeepRules;
  readonly #times: RuleTimes;
  readonly #pulled: Largest<Facts>;
  readonly #pushed: Largest<Facts>;

  constructor(rules: KeepRules, times: RuleTimes) {
    this.rules = rules;
    this.#times = times;
    this.#pulled = new Largest(rules.mostRecentlyPulledCount, byPull);
    this.#pushed = new Largest(rules.mostRecentlyPushedCount, byPush);
  }

  add(facts: Facts): void {
    if (facts.pushedMs === null) return;
    if (this.rules.mostRecentlyPulledCount > 0) this.#pulled.add(facts);
    if (this.rules.mostRecentlyPushedCount > 0) this.#pushed.add(facts);
  }

  /** Every rule that keeps it, in zot's order; empty: none does. */
  keptBy(facts: Facts): KeepRule[] {
    const { rules } = this;
    if (facts.pushedMs === null) return [{ name: 'no statistics' }];
    if (!hasRules(rules)) return [{ name: 'patterns' }];
    const kept: KeepRule[] = [];
    if (rules.mostRecentlyPulledCount > 0 && this.#pulled.includes(facts))
      kept.push({ name: 'mostRecentlyPulledCount', count: rules.mostRecentlyPulledCount });
    if (rules.mostRecentlyPushedCount > 0 && this.#pushed.includes(facts))
      kept.push({ name: 'mostRecentlyPushedCount', count: rules.mostRecentlyPushedCount });
    for (const { name, withinMs, leftMs, isUnknown } of this.#windows(facts))
      if (leftMs > 0) kept.push({ name, withinMs, ...(isUnknown ? { isUnknown } : {}) });
    return kept;
  }

  /** For how long nothing but a change can take away what keeps it, milliseconds; 0 when nothing keeps it. */
  lastsMs(facts: Facts): number {
    const kept = this.keptBy(facts);
    if (kept.some(({ name }) => name !== 'pulledWithin' && name !== 'pushedWithin')) return Infinity;
    return Math.max(0, ...this.#windows(facts).map(({ leftMs }) => leftMs));
  }

  /** The windows of time that are rules, with what is left of them. */
  #windows(facts: Facts): {
    name: 'pulledWithin' | 'pushedWithin';
    withinMs: number;
    leftMs: number;
    isUnknown: boolean;
  }[] {
    const { pulledWithinMs, pushedWithinMs } = this.rules;
    const { ageMs, pullsBeganMs } = this.#times;
    const { pushedMs, pulledMs, allPullsKnown } = facts;
    if (pushedMs === null) return [];
    const windows = [];
    if (pulledWithinMs !== null) {
      // A push counts as a pull (zot).
      const usedMs = Math.min(ageMs(pushedMs), pulledMs === null ? Infinity : ageMs(pulledMs));
      const known = pulledWithinMs - usedMs;
      const unknown = allPullsKnown || pulledMs !== null ? 0 : pulledWithinMs - ageMs(pullsBeganMs);
      const isUnknown = known <= 0 && unknown > 0;
      const leftMs = Math.max(known, unknown);
      windows.push({ name: 'pulledWithin' as const, withinMs: pulledWithinMs, leftMs, isUnknown });
    }
    if (pushedWithinMs !== null) {
      const leftMs = pushedWithinMs - ageMs(pushedMs);
      windows.push({ name: 'pushedWithin' as const, withinMs: pushedWithinMs, leftMs, isUnknown: false });
    }
    return windows;
  }
}

/** An entry of `keepTags`. */
export interface TagRules {
  readonly rules: KeepRules;
  matches(tag: string): boolean;
}

export interface Verdict {
  /** The rules that keep the tag, in zot's order; empty: it goes. */
  readonly keptBy: readonly KeepRule[];
  /** The place of the entry that the tag belongs to; `null`: no entry's patterns match it. */
  readonly entry: number | null;
}

/** Judges the tags of one repository; without entries all of them stay. To be shown all tags before it is asked. */
export class TagJudge {
  readonly #entries: readonly TagRules[];
  readonly #groups: readonly KeepGroup[];

  constructor(entries: readonly TagRules[], times: RuleTimes) {
    this.#entries = entries;
    this.#groups = entries.map(({ rules }) => new KeepGroup(rules, times));
  }

  /** Takes a tag in, and gives the place of its entry, which is to be given back with it. */
  add(facts: Facts): number | null {
    const entry = this.#entries.findIndex((rules) => rules.matches(facts.name));
    this.#groups[entry]?.add(facts);
    return entry < 0 ? null : entry;
  }

  judge(facts: Facts, entry: number | null): Verdict {
    if (facts.pushedMs === null) return { keptBy: [{ name: 'no statistics' }], entry };
    if (this.#entries.length === 0) return { keptBy: [{ name: 'patterns' }], entry };
    return { keptBy: this.#group(entry)?.keptBy(facts) ?? [], entry };
  }

  /** For how long a verdict that keeps a tag holds while nothing changes. */
  lastsMs(facts: Facts, entry: number | null): number {
    return facts.pushedMs === null ? Infinity : (this.#group(entry)?.lastsMs(facts) ?? Infinity);
  }

  /** Whether a pull since it was judged may keep a tag that goes. */
  isKeptByPull(entry: number | null): boolean {
    const group = this.#group(entry);
    return group !== undefined && looksAtPulls(group.rules);
  }

  #group(entry: number | null): KeepGroup | undefined {
    return entry === null ? undefined : this.#groups[entry];
  }
}

/** The last pull first; what was never pulled stands behind, by its push. */
function byPull(one: Facts, other: Facts): number {
  return later(one.pulledMs, other.pulledMs) || later(one.pushedMs, other.pushedMs) || byName(one, other);
}

/** The last push first. */
function byPush(one: Facts, other: Facts): number {
  return later(one.pushedMs, other.pushedMs) || later(one.pulledMs, other.pulledMs) || byName(one, other);
}

function later(one: number | null, other: number | null): number {
  if (one === other) return 0;
  return (one ?? -Infinity) > (other ?? -Infinity) ? -1 : 1;
}

function byName(one: Facts, other: Facts): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}
