import type { AccessExplanation, AccessQuery, Action, Explanation } from '#access';

type Step = Explanation['steps'][number];

const MEANING: Readonly<Record<Action, string>> = {
  read: 'pull, list and look at it',
  create: 'push new tags and blobs',
  update: 'push over a tag that exists',
  delete: 'delete from it',
};

const LABEL_WIDTH = 13;

/** The explanation for people: the verdict first, then why, then what would have to change. */
export function explanationText(query: AccessQuery, explained: AccessExplanation): string {
  const blocks = explained.explanations.map((one) =>
    [verdictLine(query, one), ...body(query, explained, one)].join('\n'),
  );
  const notes = explained.notes.map((note) => `Note: ${note}.`);
  return `${[...blocks, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n')}\n`;
}

function verdictLine({ username, repo, reference }: AccessQuery, { action, allowed }: Explanation): string {
  const who = username === '' ? 'Whoever has not signed in' : username;
  const what = reference === '' ? repo : `${repo} at ${reference}`;
  const word = allowed ? 'may' : 'may NOT';
  const status = allowed ? '' : username === '' ? ' The answer is 401.' : ' The answer is 403.';
  return `${who} ${word} "${action}" ${what}: ${MEANING[action]}.${status}`;
}

function body({ repo }: AccessQuery, { rule, groups }: AccessExplanation, one: Explanation): string[] {
  if (rule === 'open')
    return [line('decided by', 'nothing: neither http.auth nor http.accessControl is configured')];
  if (rule === 'signedIn') {
    return [
      line('decided by', 'whether they have signed in: there is no http.accessControl'),
      ...changes(one),
    ];
  }
  return [
    ...(one.decidedBy === null ? [] : [line('decided by', decision(one))]),
    line('pattern', patternText(repo, one)),
    ...one.lost.map((lost) => line('lost', lostText(lost))),
    line('groups', groups.length === 0 ? 'none' : groups.join(', ')),
    ...lines('looked at', one.steps.map(stepText)),
    ...(one.reason === null ? [] : [line('they read', JSON.stringify(one.reason))]),
    ...changes(one),
  ];
}

function decision({ decidedBy, steps }: Explanation): string {
  return `http.accessControl.${decidedBy}, for ${article(steps.at(-1)?.by ?? '')}`;
}

function patternText(repo: string, { pattern }: Explanation): string {
  if (pattern === null) return `none matches ${repo}: only adminPolicy could allow it`;
  return `${JSON.stringify(pattern)} is the longest that matches ${repo}, and decides alone`;
}

function lostText({ pattern, why, wouldAllow }: Explanation['lost'][number]): string {
  const reason = why === 'shorter' ? 'is shorter' : 'is equally long, but comes later in order';
  const verdict = wouldAllow ? 'would' : 'would not';
  return `${JSON.stringify(pattern)} matches, too, but ${reason}; it ${verdict} have allowed this`;
}

function stepText(step: Step): string {
  const actions = step.actions.join(', ');
  const conditions = step.conditions.map(
    ({ expression, outcome, error }) =>
      `; the condition ${expression} ${outcome}${error === null ? '' : ` (${error})`}`,
  );
  switch (step.outcome) {
    case 'grants':
      return `${step.place} grants ${actions} to ${article(step.by)}${conditions.join('')}`;
    case 'does not name the caller':
      return `${step.place} does not name them (it names ${step.by})`;
    case 'lacks the action':
      return `${step.place} is for ${article(step.by)}, but ${actions === '' ? 'is empty' : `grants ${actions} only`}`;
    case 'condition fails':
      return `${step.place} would grant it to ${article(step.by)}${conditions.join('')}`;
  }
}

/** `the user alice`, but `every signed-in user`. */
function article(by: string): string {
  return by.startsWith('every') ? by : `the ${by}`;
}

function changes({ hints }: Explanation): string[] {
  return lines(
    'to allow it',
    hints.length > 1 ? hints.map((hint, at) => `${at === 0 ? '' : 'or '}${hint}`) : hints,
  );
}

function lines(label: string, texts: readonly string[]): string[] {
  return texts.map((text, at) => line(at === 0 ? label : '', text));
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${text}`;
}
