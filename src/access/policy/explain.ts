/**
 * Why a request is allowed or refused: the same rules as `policy.ts`, told step by step. The verdict is the policy's
 * own; the steps are checked against it by a test with random rules.
 */
import { compileGlob } from '#lib/doublestar';
import type { Question } from '../contract.ts';
import { ACTION_BITS } from './actions.ts';
import { membersOf } from './compiled.ts';
import type { AccessControl, Entry, Rule } from './compiled.ts';
import { hintsFor } from './explain-hints.ts';
import type { ConditionStep, Explanation, LostPattern, Step } from './explanation.ts';
import { comparePatterns } from './pattern-order.ts';
import { Trial } from './policy.ts';
import type { Policy } from './policy.ts';

/** Explains what `policy.decide` says to a question. */
export function explain(policy: Policy, accessControl: AccessControl, question: Question): Explanation {
  const { allowed, reason } = policy.decide(question);
  const matching = matchingEntries(policy, question.repo);
  const [entry = null, ...others] = matching;
  const steps = stepsOf(policy, accessControl, entry, question);
  const granting = steps.findIndex(({ outcome }) => outcome === 'grants');
  const seen = granting < 0 ? steps : steps.slice(0, granting + 1);
  const lost = others.map((other) =>
    lostPattern(other, entry, allows(policy, accessControl, other, question)),
  );
  return {
    action: question.action,
    allowed,
    reason,
    pattern: entry?.pattern ?? null,
    lost,
    steps: seen,
    decidedBy: allowed ? (seen.at(-1)?.place ?? null) : null,
    hints: allowed ? [] : hintsFor({ question, entry, steps, lost }),
  };
}

/** Every entry whose pattern matches, the one that decides first. */
function matchingEntries(policy: Policy, repo: string): Entry[] {
  return policy.entries
    .filter(({ pattern }) => compileGlob(pattern.toLowerCase()).matches(repo))
    .toSorted((one, other) => comparePatterns(one.pattern.toLowerCase(), other.pattern.toLowerCase()));
}

function lostPattern({ pattern }: Entry, winner: Entry | null, wouldAllow: boolean): LostPattern {
  const isEqual = Buffer.byteLength(pattern) === Buffer.byteLength(winner?.pattern ?? '');
  return { pattern, why: isEqual ? 'equally long' : 'shorter', wouldAllow };
}

function allows(policy: Policy, accessControl: AccessControl, entry: Entry, question: Question): boolean {
  return stepsOf(policy, accessControl, entry, question).some(
    ({ outcome, place }) => outcome === 'grants' && place !== 'adminPolicy',
  );
}

function stepsOf(
  policy: Policy,
  accessControl: AccessControl,
  entry: Entry | null,
  question: Question,
): Step[] {
  const isNobody = question.identity.method === 'none';
  const named =
    entry === null ? [] : entry.rules.map((rule) => ruleStep(policy, accessControl, rule, question));
  const open = entry === null ? [] : [openStep(accessControl, entry, question, isNobody)];
  const admin = policy.admin === null ? [] : [ruleStep(policy, accessControl, policy.admin, question)];
  return [...named, ...open, ...admin];
}

/** The list for all who have signed in, or for all who have not. */
function openStep(accessControl: AccessControl, entry: Entry, { action }: Question, isNobody: boolean): Step {
  const key = isNobody ? 'anonymousPolicy' : 'defaultPolicy';
  const mask = isNobody ? entry.anonymousMask : entry.defaultMask;
  return {
    place: `repositories[${JSON.stringify(entry.pattern)}].${key}`,
    actions: accessControl.repositories[entry.pattern]?.[key] ?? [],
    outcome: (mask & ACTION_BITS[action]) === 0 ? 'lacks the action' : 'grants',
    by: isNobody ? 'everybody who has not signed in' : 'every signed-in user',
    conditions: [],
  };
}

function ruleStep(policy: Policy, accessControl: AccessControl, rule: Rule, question: Question): Step {
  const { place, actions } = rule;
  const by = namedBy(accessControl, rule, question);
  if (by === null) {
    return { place, actions, outcome: 'does not name the caller', by: subjectsText(rule), conditions: [] };
  }
  if ((rule.mask & ACTION_BITS[question.action]) === 0) {
    return { place, actions, outcome: 'lacks the action', by, conditions: [] };
  }
  const conditions = conditionSteps(policy, rule, question);
  const holds = conditions.every(({ outcome }) => outcome === 'holds');
  return { place, actions, outcome: holds ? 'grants' : 'condition fails', by, conditions };
}

function conditionSteps(policy: Policy, rule: Rule, question: Question): ConditionStep[] {
  const facts = new Trial(question, policy).facts(policy.nowMs());
  let stopped = false;
  return rule.conditions.map((condition) => {
    const { expression, message } = condition;
    if (stopped) return { expression, message, outcome: 'not asked', error: null };
    const verdict = condition.check(facts);
    if (verdict.holds) return { expression, message, outcome: 'holds', error: null };
    stopped = true;
    return {
      expression,
      message,
      outcome: verdict.error === null ? 'fails' : 'has no value',
      error: verdict.error,
    };
  });
}

function namedBy(accessControl: AccessControl, rule: Rule, { identity }: Question): string | null {
  if (identity.method === 'none') return null;
  if (rule.users.includes(identity.username)) return `user ${identity.username}`;
  const configured = rule.groups.find((name) =>
    membersOf(accessControl.groups, name).includes(identity.username),
  );
  if (configured !== undefined) return `group ${configured} (of the configuration)`;
  const brought = rule.groups.find((name) => identity.groups.includes(name));
  return brought === undefined ? null : `group ${brought} (of the sign-in)`;
}

/** Whom a rule is for; long lists are cut. */
function subjectsText({ users, groups }: Rule): string {
  const named = [...users.map((name) => `user ${name}`), ...groups.map((name) => `group ${name}`)];
  if (named.length === 0) return 'nobody: it has neither users nor groups';
  const more = named.length > 6 ? ` and ${named.length - 6} more` : '';
  return named.slice(0, 6).join(', ') + more;
}
