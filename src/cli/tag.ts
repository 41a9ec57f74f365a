import { byteSize } from '#lib/byte-text';
import { ask } from './ask.ts';
import type { AnswerInput } from './ask.ts';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';
import { userName } from './user-name.ts';

export interface TagArguments {
  readonly action: 'history' | 'restore' | 'purge';
  readonly target: string;
  readonly image: string;
  readonly digest: string | null;
  readonly at: string | null;
  readonly yes: boolean;
  readonly json: boolean;
}

interface HistoryResult {
  readonly events: readonly {
    readonly time: string;
    readonly kind: string;
    readonly digest: string;
    readonly previous: string | null;
    readonly by: string;
    readonly restorable: boolean;
  }[];
}

interface RestoreResult {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly previous: string | null;
  readonly changed: boolean;
}

interface PurgeResult {
  readonly repository: string;
  readonly digest: string;
  readonly tags: readonly string[];
  readonly blobs: number;
  readonly freedBytes: number;
  readonly kept: readonly { readonly digest: string; readonly neededBy: string }[];
  readonly elsewhere: readonly string[];
}

/** `zot tag`: history, restore and purge. Exit code 0 when it was done, 1 when it was refused. */
export async function tagCommand(args: TagArguments, io: CommandIo, input: AnswerInput): Promise<number> {
  const { action, target, image, json, yes } = args;
  if (action === 'purge' && !yes && !(await isSure(image, io, input))) return 1;
  const given = { image, user: userName(), digest: args.digest ?? '', at: args.at ?? '' };
  const render = { history: renderHistory, restore: renderRestore, purge: renderPurge }[action];
  return runControl({ target, command: `tags.${action}`, args: given, json, render }, io);
}

/** What is purged cannot be had back: somebody must say yes. */
async function isSure(image: string, io: CommandIo, input: AnswerInput): Promise<boolean> {
  if (input.isTTY !== true) {
    io.stderr.write('Error: a purge cannot be undone; write --yes to say that it is meant\n');
    return false;
  }
  const answer = await ask(`Purge ${image} for good, with its bytes? [y/N] `, io, input);
  if (/^y(es)?$/i.test(answer)) return true;
  io.stderr.write('nothing was purged\n');
  return false;
}

function renderHistory(value: unknown): string {
  const { events } = value as HistoryResult;
  if (events.length === 0) return 'nothing is known of this tag\n';
  const lines = events.map(({ time, kind, digest, previous, by, restorable }) => {
    const what = kind === 'manifestDeleted' ? 'deleted with its manifest' : kind;
    const from = previous !== null && previous !== digest ? `, was ${previous}` : '';
    const gone = restorable ? '' : ' (its content is gone)';
    return `${time}  ${what}  ${digest}${from}${by === '' ? '' : `  by ${by}`}${gone}\n`;
  });
  return lines.join('');
}

function renderRestore(value: unknown): string {
  const { repository, tag, digest, previous, changed } = value as RestoreResult;
  if (!changed) return `${repository}:${tag} names ${digest} already\n`;
  return `${repository}:${tag} names ${digest} again${previous === null ? '' : `, was ${previous}`}\n`;
}

function renderPurge(value: unknown): string {
  const { repository, digest, tags, blobs, freedBytes, kept, elsewhere } = value as PurgeResult;
  const named = tags.length === 0 ? '' : ` with its tags ${tags.join(', ')}`;
  const lines = [`${repository}@${digest} is gone${named}: ${blobs} blobs (${byteSize(freedBytes)})`];
  for (const each of kept) lines.push(`  stays: ${each.digest}, needed by ${each.neededBy}`);
  if (elsewhere.length > 0)
    lines.push(`  some of it is stored in other repositories too: ${elsewhere.join(', ')}`);
  return `${lines.join('\n')}\n`;
}
