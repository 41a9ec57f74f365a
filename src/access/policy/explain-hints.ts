import type { Question } from '../contract.ts';
import { ACTION_BITS } from './actions.ts';
import type { Entry } from './compiled.ts';
import type { LostPattern, Step } from './explanation.ts';

interface Refusal {
  readonly question: Question;
  /** What decides; `null` when no pattern matches. */
  readonly entry: Entry | null;
  readonly steps: readonly Step[];
  readonly lost: readonly LostPattern[];
}

const HINTS_MAX = 6;

/** What would have to change for a refused request to be allowed: the smallest changes first. */
export function hintsFor(refusal: Refusal): string[] {
  const { question, steps } = refusal;
  const isNobody = question.identity.method === 'none';
  const hints = isNobody ? anonymousHints(refusal) : userHints(refusal);
  const lost = refusal.lost
    .filter(({ wouldAllow }) => wouldAllow)
    .map((pattern) => lostHint(refusal, pattern));
  return [...steps.flatMap(conditionHints), ...hints, ...lost].slice(0, HINTS_MAX);
}

function conditionHints({ place, outcome, conditions }: Step): string[] {
  if (outcome !== 'condition fails') return [];
  const failed = conditions.find((condition) => condition.outcome !== 'holds');
  if (failed === undefined) return [];
  const why = failed.error === null ? '' : ` (it has no value: ${failed.error})`;
  return [`the condition ${failed.expression} of ${place} must hold${why}`];
}

function anonymousHints({ question, entry }: Refusal): string[] {
  const { action, repo } = question;
  const place = placeOf(entry);
  const open =
    place === null
      ? `add a pattern that matches ${repo}, with "${action}" in its anonymousPolicy`
      : `add "${action}" to ${place}.anonymousPolicy`;
  return ['sign in as a user who may', open];
}

function userHints({ question, entry, steps }: Refusal): string[] {
  const { action, identity, repo } = question;
  const lacking = steps
    .filter(({ outcome, by }) => outcome === 'lacks the action' && by !== 'every signed-in user')
    .map(({ place, by }) => `add "${action}" to the actions of ${place}, which names the ${by}`);
  const naming = steps
    .filter(({ place, outcome, actions }) => {
      return outcome === 'does not name the caller' && actions.includes(action) && place !== 'adminPolicy';
    })
    .map(
      ({ place }) =>
        `add "${identity.username}" to the users, or a group, of ${place}, which grants it to others`,
    );
  const place = placeOf(entry);
  const policy = `a policy${place === null ? '' : ' there'} for "${identity.username}"`;
  const own =
    place === null
      ? `add a pattern that matches ${repo}, with ${policy}`
      : `add "${action}" to ${place}.defaultPolicy for all signed-in users, or ${policy}`;
  const open =
    entry !== null && (entry.anonymousMask & ACTION_BITS[action]) !== 0 ? [anonymousIsNotFor(place)] : [];
  return [...open, ...lacking, ...naming, own];
}

/** What surprises most people about zot's rules. */
function anonymousIsNotFor(place: string | null): string {
  return `${place}.anonymousPolicy is for callers who have not signed in only: repeat it in the defaultPolicy there`;
}

function placeOf(entry: Entry | null): string | null {
  return entry === null ? null : `repositories[${JSON.stringify(entry.pattern)}]`;
}

function lostHint({ entry, question }: Refusal, { pattern: lost, why }: LostPattern): string {
  const winner = JSON.stringify(entry?.pattern);
  const rule = why === 'shorter' ? 'shorter patterns add nothing' : 'one pattern alone decides';
  return `repeat under ${winner} what ${JSON.stringify(lost)} grants for ${question.repo}: ${rule}`;
}
