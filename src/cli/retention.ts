import type { Config } from '#config';
import { formatGoDuration } from '#lib/go-duration';
import type { KeepRule, PolicyRemark, PreviewReport, PreviewSummary, PreviewedTag } from '#tasks';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';

export interface RetentionArguments {
  readonly target: string;
  /** Show also what stays. */
  readonly all: boolean;
  readonly json: boolean;
}

interface Result {
  readonly stores: readonly (PreviewSummary & { readonly store: string })[];
  readonly warnings: readonly string[];
}

/** `zot retention preview`: what the policies of a configuration would remove. Exit code 0, whatever that is. */
export function retentionPreviewCommand(args: RetentionArguments, io: CommandIo): Promise<number> {
  const { target, all, json } = args;
  const printer = json ? new JsonPrinter() : new TextPrinter();
  return runControl(
    {
      target,
      command: 'retention.preview',
      args: (config) => ({ stores: storesOf(config), all }),
      json: false,
      printPart: (report) => printer.part(report as PreviewReport),
      render: (result) => printer.end(result as Result),
    },
    io,
  );
}

/** The keys of all stores that retention looks at, by route. */
export function storesOf({ storage }: Config): Record<string, unknown> {
  const stores = [['', storage] as const, ...Object.entries(storage.subPaths)];
  return Object.fromEntries(
    stores.map(([route, { gc, gcDelay, gcInterval, gcTimeWindow, retention }]) => [
      route,
      { gc, gcDelay, gcInterval, gcTimeWindow, retention },
    ]),
  );
}

/** One document, written as it comes. */
class JsonPrinter {
  #repositories = 0;
  #tags = 0;

  part(report: PreviewReport): string {
    if (report.kind === 'tags') {
      const texts = report.tags.map(
        (tag) => `${this.#tags++ > 0 ? ',' : ''}\n      ${JSON.stringify(jsonTag(tag))}`,
      );
      return texts.join('');
    }
    const { repository, policy, tags, gone } = report;
    const members = JSON.stringify({ repository, policy, count: tags, gone }).slice(0, -1);
    const before = this.#repositories++ === 0 ? '{"repositories": [' : `${this.#close()},`;
    this.#tags = 0;
    return `${before}\n    ${members},"tags": [`;
  }

  end({ stores, warnings }: Result): string {
    const before = this.#repositories === 0 ? '{"repositories": [' : this.#close();
    return `${before}],\n  "stores": ${JSON.stringify(stores)},\n  "warnings": ${JSON.stringify(warnings)}}\n`;
  }

  #close(): string {
    return this.#tags > 0 ? '\n    ]}' : ']}';
  }
}

function jsonTag({ pushedMs, pulledMs, keptBy, ...tag }: PreviewedTag): unknown {
  return { ...tag, keptBy: keptBy.map(ruleText), pushed: timeText(pushedMs), pulled: timeText(pulledMs) };
}

class TextPrinter {
  part(report: PreviewReport): string {
    if (report.kind === 'tags') return report.tags.map(tagLine).join('');
    const { repository, policy, tags, gone } = report;
    if (policy === null) return `${repository}: no policy, all tags stay\n`;
    return `${repository}: ${gone} of ${tags} tags go (policies[${policy}])\n`;
  }

  end({ stores, warnings }: Result): string {
    const lines = stores.map(({ store, repositories, judged, tags, gone }) => {
      const counts = `${gone} of ${tags} tags would go, in ${judged} of ${repositories} repositories`;
      return `${store}: ${counts} that a policy is about\n`;
    });
    const remarks = stores.flatMap(({ store, remarks: found }) =>
      found.map((remark) => remarkLine(store, remark)),
    );
    return [...lines, ...remarks, ...warnings.map((warning) => `warning: ${warning}\n`)].join('');
  }
}

function tagLine(tag: PreviewedTag): string {
  const pulled =
    tag.pulledMs === null ? 'never pulled' : `pulled ${timeText(tag.pulledMs)} (${tag.pulls} times)`;
  const times = `pushed ${timeText(tag.pushedMs) ?? 'at an unknown time'}, ${pulled}`;
  const place = tag.entry === null ? '' : `keepTags[${tag.entry}]: `;
  const why = tag.decision === 'delete' ? tag.reason : `${place}${tag.keptBy.map(ruleText).join(', ')}`;
  const sign = tag.decision === 'keep' ? 'stays' : 'goes ';
  return `  ${sign} ${tag.tag}  ${times}; ${why}\n`;
}

function remarkLine(store: string, { policy, entry, message }: PolicyRemark): string {
  const place = entry === null ? `policies[${policy}]` : `policies[${policy}].keepTags[${entry}]`;
  return `warning: ${store === 'default' ? '' : `${store}: `}${place}: ${message}\n`;
}

function ruleText(rule: KeepRule): string {
  if ('count' in rule) return `${rule.name} ${rule.count}`;
  if (!('withinMs' in rule)) return rule.name;
  const text = `${rule.name} ${formatGoDuration(rule.withinMs)}`;
  return rule.isUnknown === true ? `${text}, for as long as pulls are not known` : text;
}

function timeText(atMs: number | null): string | null {
  const date = new Date(atMs ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
