import type { Config } from '#config';
import { formatGoDuration } from '#lib/go-duration';
import type {
  KeepRule,
  PolicyRemark,
  PreviewReport,
  PreviewSummary,
  PreviewedManifest,
  PreviewedTag,
} from '#tasks';
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
  /** Items of the list that is open. */
  #items = 0;
  #list: 'tags' | 'untagged' = 'tags';

  part(report: PreviewReport): string {
    if (report.kind === 'tags') return this.#add(report.tags.map(jsonTag));
    if (report.kind === 'untagged')
      return `${this.#endTags()}${this.#add(report.manifests.map(jsonManifest))}`;
    const { repository, policy, tags, gone } = report;
    const members = JSON.stringify({ repository, policy, count: tags, gone }).slice(0, -1);
    const before = this.#repositories++ === 0 ? '{"repositories": [' : `${this.#close()},`;
    this.#items = 0;
    this.#list = 'tags';
    return `${before}\n    ${members},"tags": [`;
  }

  end({ stores, warnings }: Result): string {
    const before = this.#repositories === 0 ? '{"repositories": [' : this.#close();
    return `${before}],\n  "stores": ${JSON.stringify(stores)},\n  "warnings": ${JSON.stringify(warnings)}}\n`;
  }

  #add(items: readonly unknown[]): string {
    return items.map((item) => `${this.#items++ > 0 ? ',' : ''}\n      ${JSON.stringify(item)}`).join('');
  }

  /** The tags are complete: what follows has none. */
  #endTags(): string {
    if (this.#list === 'untagged') return '';
    const end = this.#endList();
    this.#items = 0;
    this.#list = 'untagged';
    return `${end},"untagged": [`;
  }

  #close(): string {
    return `${this.#endTags()}${this.#endList()}}`;
  }

  #endList(): string {
    return this.#items > 0 ? '\n    ]' : ']';
  }
}

function jsonTag({ pushedMs, pulledMs, keptBy, ...tag }: PreviewedTag): unknown {
  return { ...tag, keptBy: keptBy.map(ruleText), pushed: timeText(pushedMs), pulled: timeText(pulledMs) };
}

function jsonManifest({ pushedMs, pulledMs, dueMs, keptBy, ...manifest }: PreviewedManifest): unknown {
  const times = { pushed: timeText(pushedMs), pulled: timeText(pulledMs), notBefore: timeText(dueMs) };
  return { ...manifest, keptBy: keptBy.map(ruleText), ...times };
}

class TextPrinter {
  part(report: PreviewReport): string {
    if (report.kind === 'tags') return report.tags.map(tagLine).join('');
    if (report.kind === 'untagged') return report.manifests.map(manifestLine).join('');
    const { repository, policy, tags, gone } = report;
    if (policy === null) return `${repository}: no policy, all tags stay\n`;
    return `${repository}: ${gone} of ${tags} tags go (policies[${policy}])\n`;
  }

  end({ stores, warnings }: Result): string {
    const lines = stores.map(({ store, repositories, judged, tags, gone, untagged, untaggedGone }) => {
      const counts = `${gone} of ${tags} tags would go, in ${judged} of ${repositories} repositories`;
      const rest =
        untagged === 0 ? '' : `${store}: ${untaggedGone} of ${untagged} untagged manifests would go\n`;
      return `${store}: ${counts} that a policy is about\n${rest}`;
    });
    const remarks = stores.flatMap(({ store, remarks: found }) =>
      found.map((remark) => remarkLine(store, remark)),
    );
    return [...lines, ...remarks, ...warnings.map((warning) => `warning: ${warning}\n`)].join('');
  }
}

function manifestLine(manifest: PreviewedManifest): string {
  const { digest, decision, keptBy, reason, dueMs } = manifest;
  const kept = keptBy.length === 0 ? reason : `keepUntagged: ${keptBy.map(ruleText).join(', ')}`;
  const why = decision === 'keep' ? kept : `${reason}, not before ${timeText(dueMs) ?? 'an unknown time'}`;
  const sign = decision === 'keep' ? 'stays' : 'goes ';
  return `  ${sign} ${digest}  untagged, ${timesOf(manifest)}; ${why}\n`;
}

function timesOf({ pushedMs, pulledMs, pulls }: PreviewedTag | PreviewedManifest): string {
  const pulled = pulledMs === null ? 'never pulled' : `pulled ${timeText(pulledMs)} (${pulls} times)`;
  return `pushed ${timeText(pushedMs) ?? 'at an unknown time'}, ${pulled}`;
}

function tagLine(tag: PreviewedTag): string {
  const place = tag.entry === null ? '' : `keepTags[${tag.entry}]: `;
  const why = tag.decision === 'delete' ? tag.reason : `${place}${tag.keptBy.map(ruleText).join(', ')}`;
  const sign = tag.decision === 'keep' ? 'stays' : 'goes ';
  return `  ${sign} ${tag.tag}  ${timesOf(tag)}; ${why}\n`;
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
