import type { Question } from '../contract.ts';

export interface ConditionStep {
  readonly expression: string;
  readonly message: string;
  readonly outcome: 'holds' | 'fails' | 'has no value' | 'not asked';
  /** Why it has no value. */
  readonly error: string | null;
}

/** One thing that was looked at, in the order in which it was. */
export interface Step {
  /** Below `http.accessControl`: `repositories["team/**"].policies[0]`. */
  readonly place: string;
  readonly actions: readonly string[];
  readonly outcome: 'grants' | 'does not name the caller' | 'lacks the action' | 'condition fails';
  /** By what it names the caller, or whom it is for: `user alice`, `group dev (of the configuration)`. */
  readonly by: string;
  readonly conditions: readonly ConditionStep[];
}

/** A pattern that matches, too, but does not count. */
export interface LostPattern {
  readonly pattern: string;
  readonly why: 'shorter' | 'equally long';
  /** Whether it would have allowed the request, had it been the one to decide. */
  readonly wouldAllow: boolean;
}

export interface Explanation {
  readonly action: Question['action'];
  readonly allowed: boolean;
  /** What the client is told beside the refusal. */
  readonly reason: string | null;
  /** The pattern that decides; `null` when none matches. */
  readonly pattern: string | null;
  readonly lost: readonly LostPattern[];
  readonly steps: readonly Step[];
  /** The place that allows it; `null` when it is refused. */
  readonly decidedBy: string | null;
  /** What would have to change for it to be allowed. */
  readonly hints: readonly string[];
}
