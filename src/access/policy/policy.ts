/**
 * zot's access control: the longest pattern that matches decides, and of what stands under it everything that names
 * the caller grants; nothing denies. Compiled once for each configuration.
 */
import type { RepoName } from '#oci/repo-name';
import type { AccessRequest, Decision, Identity, Question } from '../contract.ts';
import { ACTION_BITS } from './actions.ts';
import { compileEntry, compileRule, groupsByMember, subjectsOf } from './compiled.ts';
import type { AccessControl, ConditionCompiler, Entry, Grants, Rule, Subjects } from './compiled.ts';
import { PatternIndex } from './pattern-index.ts';
import type { TieReport } from './pattern-index.ts';
import { requestFacts } from './request-facts.ts';
import type { Asked } from './request-facts.ts';

export interface PolicyParts {
  readonly accessControl: AccessControl;
  /** Throws for an expression that cannot be used. */
  readonly compile: ConditionCompiler;
  /** Hears of conditions that could not be evaluated, each time. */
  readonly report: (place: string, expression: string, error: string) => void;
  /** Hears of repositories that two equally long patterns match. */
  readonly reportTie?: TieReport;
  readonly now?: () => number;
}

const ALLOWED: Decision = { allowed: true, reason: null };
const DENIED: Decision = { allowed: false, reason: null };
const DELETE_CHECK = ACTION_BITS.detectManifestCollision;

export class Policy {
  /** Entries in the order of the configuration, for explanations. */
  readonly entries: readonly Entry[];
  readonly admin: Rule | null;
  /** Whether anything at all is open to anonymous callers, and whether all is. */
  readonly anonymous: 'nothing' | 'some' | 'only';
  #index: PatternIndex<Entry>;
  #admins: Subjects;
  #groups: ReadonlyMap<string, readonly string[]>;
  #metrics: { users: ReadonlySet<string>; anonymous: boolean };
  #report: PolicyParts['report'];
  #now: () => number;

  constructor({ accessControl, compile, report, reportTie, now }: PolicyParts) {
    const { repositories, groups, adminPolicy, metrics } = accessControl;
    this.entries = Object.entries(repositories).map(([pattern, text]) =>
      compileEntry(pattern, text, groups, compile),
    );
    this.admin = adminPolicy === undefined ? null : compileRule('adminPolicy', adminPolicy, compile);
    this.anonymous = anonymousShare(this.entries, this.admin);
    this.#index = new PatternIndex(
      this.entries.map((entry) => [entry.pattern, entry] as const),
      reportTie,
    );
    this.#admins = subjectsOf(this.admin === null ? [] : [this.admin], groups);
    this.#groups = groupsByMember(groups);
    this.#metrics = {
      users: new Set(metrics?.users),
      anonymous: metrics?.anonymousPolicy.includes('read') === true,
    };
    this.#report = report;
    this.#now = now ?? Date.now;
  }

  decide(question: Question): Decision {
    const bit = ACTION_BITS[question.action];
    const trial = new Trial(question, this);
    const entry = this.findEntry(question.repo);
    if (entry !== null && this.#grants(entry, bit, trial)) return ALLOWED;
    if (this.#grantsTo(this.#admins, bit, trial)) return ALLOWED;
    return trial.reason === null ? DENIED : { allowed: false, reason: trial.reason };
  }

  /** Whether a rule grants it, whatever the conditions of the rule say. */
  reaches(identity: Identity, repo: RepoName, action: Question['action']): boolean {
    const bit = ACTION_BITS[action];
    const entry = this.findEntry(repo);
    const open = (identity.method === 'none' ? entry?.anonymousMask : entry?.defaultMask) ?? 0;
    if ((open & bit) !== 0) return true;
    return [entry, this.#admins].some((subjects) => {
      const granted = subjects === null ? [] : [...grantsOf(subjects, identity)];
      return granted.some((grants) => [grants, ...grants.conditional].some(({ mask }) => (mask & bit) !== 0));
    });
  }

  /** The entry of the longest pattern that matches. */
  findEntry(repo: RepoName): Entry | null {
    return this.#index.find(repo);
  }

  isAdmin(identity: Identity, request: AccessRequest): boolean {
    if (this.admin === null || !this.isNamedAdmin(identity)) return false;
    if (this.admin.conditions.length === 0) return true;
    const question = { identity, request, repo: '', action: 'update', reference: '' } as const;
    return this.holds(this.admin, new Trial(question, this));
  }

  /** Whether the admin policy names them; what it permits and under which conditions is another question. */
  isNamedAdmin(identity: Identity): boolean {
    return [...grantsOf(this.#admins, identity)].length > 0;
  }

  mayReadMetrics(identity: Identity): boolean {
    if (identity.method === 'none') return this.#metrics.anonymous;
    return this.#metrics.users.has(identity.username);
  }

  /** `detectManifestCollision` of the entry that decides; administrators never have it. */
  detectsCollisions(question: Omit<Question, 'action'>): boolean {
    if (this.isNamedAdmin(question.identity)) return false;
    const entry = this.findEntry(question.repo);
    return (
      entry !== null && this.#grants(entry, DELETE_CHECK, new Trial({ ...question, action: 'delete' }, this))
    );
  }

  /** The groups of the configuration and those of the sign-in. */
  groupsOf({ username, groups }: Identity): readonly string[] {
    const configured = this.#groups.get(username);
    return configured === undefined ? groups : [...new Set([...configured, ...groups])];
  }

  /** Whether all conditions of a rule hold; remembers in the trial what the client is told if not. */
  holds(rule: Rule, trial: Trial): boolean {
    for (const condition of rule.conditions) {
      const verdict = condition.check(trial.facts(this.nowMs()));
      if (verdict.holds) continue;
      if (verdict.error !== null) this.#report(rule.place, condition.expression, verdict.error);
      else trial.reason = condition.message === '' ? null : condition.message;
      return false;
    }
    return true;
  }

  nowMs(): number {
    return this.#now();
  }

  #grants(entry: Entry, bit: number, trial: Trial): boolean {
    const isNobody = trial.question.identity.method === 'none';
    const open = isNobody ? entry.anonymousMask : entry.defaultMask;
    return (open & bit) !== 0 || this.#grantsTo(entry, bit, trial);
  }

  #grantsTo(subjects: Subjects, bit: number, trial: Trial): boolean {
    for (const { mask, conditional } of grantsOf(subjects, trial.question.identity)) {
      if ((mask & bit) !== 0) return true;
      for (const rule of conditional) if ((rule.mask & bit) !== 0 && this.holds(rule, trial)) return true;
    }
    return false;
  }
}

/** One question on its way through the rules. */
export class Trial {
  readonly question: Asked;
  /** The message of the last condition that failed. */
  reason: string | null = null;
  #policy: Policy;
  #facts: Record<string, unknown> | null = null;

  constructor(question: Asked, policy: Policy) {
    this.question = question;
    this.#policy = policy;
  }

  /** Made when the first condition asks for them. */
  facts(nowMs: number): Record<string, unknown> {
    const { identity } = this.question;
    const policy = this.#policy;
    this.#facts ??= requestFacts(
      this.question,
      { groups: policy.groupsOf(identity), admin: policy.isNamedAdmin(identity) },
      nowMs,
    );
    return this.#facts;
  }
}

/** Everything that rules grant this caller by name. Whoever has no name is named by no rule. */
function* grantsOf(subjects: Subjects, identity: Identity): Generator<Grants> {
  const { username, groups } = identity;
  if (identity.method === 'none') return;
  const own = subjects.byUser.get(username);
  if (own !== undefined) yield own;
  const asMember = subjects.byMember.get(username);
  if (asMember !== undefined) yield asMember;
  if (groups.length > 0 && subjects.byGroup.size > 0) yield* grantsOfGroups(subjects.byGroup, groups);
}

/** Sign-ins may bring thousands of groups: the shorter of the two lists is walked through. */
function* grantsOfGroups(byGroup: ReadonlyMap<string, Grants>, groups: readonly string[]): Generator<Grants> {
  if (groups.length <= byGroup.size) {
    for (const name of groups) {
      const grants = byGroup.get(name);
      if (grants !== undefined) yield grants;
    }
    return;
  }
  const own = groupSetOf(groups);
  for (const [name, grants] of byGroup) if (own.has(name)) yield grants;
}

const groupSets = new WeakMap<readonly string[], ReadonlySet<string>>();

function groupSetOf(groups: readonly string[]): ReadonlySet<string> {
  let known = groupSets.get(groups);
  if (known === undefined) {
    known = new Set(groups);
    groupSets.set(groups, known);
  }
  return known;
}

function anonymousShare(entries: readonly Entry[], admin: Rule | null): Policy['anonymous'] {
  const open = entries.some((entry) => entry.anonymousMask !== 0);
  if (!open) return 'nothing';
  const named = entries.some((entry) => entry.defaultMask !== 0 || entry.rules.length > 0) || admin !== null;
  return named ? 'some' : 'only';
}
