import { allowedSkips } from './allowed-skips.ts';
import type { ConformanceCase } from './junit.ts';

/** The suite's own summary (`results.yaml`): its word per endpoint and per kind of content. */
export interface ConformanceSummary {
  readonly apis: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One entry per failure, and per skip that no entry of the list of allowed skips explains. */
  readonly problems: readonly string[];
}

/** The four workflows of the specification ("Endpoints"), with the endpoints that the suite counts under them. */
const workflows: Readonly<Record<string, RegExp>> = {
  Pull: /^(ping|blob get|blob head|manifest get|manifest head)/i,
  Push: /^(blob (push|post|chunked|streaming|mount|anonymous|upload)|manifest put)/i,
  'Content discovery': /^(tag listing|referrers)/i,
  'Content management': /delete/i,
};

/** Counts the cases and collects what must not be. Throws when a summary has an endpoint of no workflow. */
export function judge(cases: readonly ConformanceCase[], summary: ConformanceSummary): Verdict {
  const count = (status: string): number => cases.filter((one) => one.status === status).length;
  const problems: string[] = [];
  for (const one of cases) {
    if (one.status === 'failed')
      problems.push(`FAILED  ${one.name}\n${indent(one.reason)}\n${indent(one.exchange)}`);
    if (one.status === 'skipped' && !isAllowed(one.name))
      problems.push(`SKIPPED ${one.name}\n${indent(one.reason)}`);
  }
  for (const [name, state] of [...Object.entries(summary.apis), ...Object.entries(summary.data)]) {
    if (state !== 'Pass' && state !== 'FAIL' && state !== 'Error' && !isAllowed(name)) {
      problems.push(`SKIPPED ${name}: the suite says "${state}"`);
    }
  }
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), problems };
}

/** A table: each endpoint under its workflow, then each kind of content, with the suite's word for it. */
export function summaryTable(summary: ConformanceSummary): string {
  const lines: string[] = [];
  for (const [workflow, entries] of Object.entries(byWorkflow(summary.apis))) {
    lines.push(workflow, ...entries.map(([name, state]) => row(name, state)));
  }
  lines.push('Content', ...Object.entries(summary.data).map(([name, state]) => row(name, state)));
  return lines.join('\n');
}

function byWorkflow(apis: Readonly<Record<string, string>>): Record<string, [string, string][]> {
  const groups: Record<string, [string, string][]> = {};
  for (const workflow of Object.keys(workflows)) groups[workflow] = [];
  for (const [name, state] of Object.entries(apis)) {
    // The last match wins: deleting is content management, whatever is deleted.
    const workflow = Object.keys(workflows).findLast((key) => workflows[key]?.test(name) === true);
    if (workflow === undefined)
      throw new Error(`the suite reports an endpoint of no known workflow: ${name}`);
    groups[workflow]?.push([name, state]);
  }
  for (const [workflow, entries] of Object.entries(groups)) {
    if (entries.length === 0) throw new Error(`the suite ran nothing of the workflow ${workflow}`);
  }
  return groups;
}

function row(name: string, state: string): string {
  const allowed = allowedSkips.find((skip) => skip.name === name);
  const note = state !== 'Pass' && allowed !== undefined ? `  (allowed: ${allowed.reason})` : '';
  return `  ${name.padEnd(34, '.')} ${state}${note}`;
}

function isAllowed(name: string): boolean {
  return allowedSkips.some((skip) => name.startsWith(skip.name));
}

/** A recorded exchange can hold a manifest of several MiB: its beginning tells enough. */
function indent(text: string): string {
  const shown =
    text.length > 6000
      ? `${text.slice(0, 6000)}\n… (${text.length} characters; all of it is in report.html)`
      : text;
  return shown.replaceAll(/^/gm, '    ');
}
