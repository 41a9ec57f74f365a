import type { Report } from './problems.ts';
import type { PlainObject } from './normalise.ts';
import type { ConfigDraft } from './schema.ts';

/** What a rule may look at and do. */
export interface RuleContext {
  /** The configuration with all defaults; rules that complete it may change it. */
  readonly config: ConfigDraft;
  /** What the user wrote, normalised: tells what is given from what is a default. */
  readonly given: PlainObject;
  readonly report: Report;
}
