import type { TagDesk } from '#registry';
import { isDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import { readReference, storedTag } from '#oci/reference';
import type { Reference, Tag } from '#oci/reference';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { inItsWords, requireWritable, userOf } from './changing.ts';
import { ControlRefusal, textArgument } from './contract.ts';
import type {
  ControlArguments,
  ControlCall,
  ControlCommand,
  ControlCommands,
  ControlHost,
} from './contract.ts';

const DAY_MS = 86_400_000;
const EVENTS_MAX = 1000;

/** `tags.history`, `tags.restore`, `tags.purge`. */
export function addTagCommands(commands: ControlCommands): void {
  commands.add('tags.history', refusing(history));
  commands.add('tags.restore', refusing(restore));
  commands.add('tags.purge', refusing(purge));
}

function refusing(command: (call: ControlCall, tags: TagDesk) => Promise<unknown>): ControlCommand {
  return (call) => inItsWords(() => command(call, tagsOf(call.host)));
}

/**
 * A command on a folder that nobody serves may know the folder and not its configuration: what it takes away is held
 * for a day all the same, rather than lost.
 */
function tagsOf({ keeper, serving }: ControlHost): TagDesk {
  const { tags } = keeper;
  if (!serving && tags.rules.shortestUndoMs === null)
    tags.use({ ...tags.rules, undoMs: () => DAY_MS, shortestUndoMs: DAY_MS });
  return tags;
}

async function history({ args }: ControlCall, tags: TagDesk): Promise<unknown> {
  const { repo, reference } = imageArgument(args);
  const tag = requireTag(reference);
  const range = { beforeMs: Infinity, sinceMs: -1, digest: null, limit: EVENTS_MAX };
  const page = await tags.events(repo, tag, range);
  if (page === null) throw new ControlRefusal(`no history is kept of ${repo}: storage.undo is off`);
  const events = await Promise.all(
    page.events.map(async ({ repo: _repo, atMs, ...event }) => ({
      time: new Date(atMs).toISOString(),
      ...event,
      restorable: await tags.isStored(repo, event.digest),
    })),
  );
  return { repository: repo, tag, events };
}

async function restore(call: ControlCall, tags: TagDesk): Promise<unknown> {
  const { args } = call;
  requireWritable(call.host);
  const { repo, reference } = imageArgument(args);
  const tag = requireTag(reference);
  const digest = optionalText(args, 'digest');
  const at = optionalText(args, 'at');
  if (digest !== null && at !== null) throw new ControlRefusal('give a digest or a time, not both');
  const atMs = at === null ? null : parseTime(at);
  const restored = await tags.restore({
    repo,
    tag,
    digest: digest === null ? null : parseDigestArgument(digest),
    atMs,
    by: userOf(args),
  });
  note(call, 'tag restore', `${repo}:${tag}`, restored.digest);
  return { repository: repo, tag, ...restored };
}

async function purge(call: ControlCall, tags: TagDesk): Promise<unknown> {
  const { args } = call;
  requireWritable(call.host);
  const { repo, reference } = imageArgument(args);
  const report = await tags.purge({ repo, reference, by: userOf(args) });
  note(call, 'tag purge', `${repo}@${report.digest}`, report.digest);
  return { repository: repo, ...report };
}

function note({ host, args }: ControlCall, action: string, object: string, digest: Digest): void {
  host.logger.info({ component: 'control', object, digest }, action);
  host.audit.event({ action, subject: userOf(args), object, outcome: 'allowed', digest });
}

/** `repository:tag` or `repository@digest`. */
function imageArgument(args: ControlArguments): { repo: RepoName; reference: Reference } {
  const text = textArgument(args, 'image');
  const at = text.indexOf('@');
  const colon = text.lastIndexOf(':');
  const cut = at >= 0 ? at : colon;
  if (cut <= 0 || cut === text.length - 1)
    throw new ControlRefusal(`"${text}" names no image: write repository:tag or repository@digest`);
  const name = text.slice(0, cut);
  const reference = readReference(text.slice(cut + 1));
  if (!isRepoName(name)) throw new ControlRefusal(`"${name}" is no name of a repository`);
  if (at >= 0 && reference.kind !== 'digest')
    throw new ControlRefusal(`"${text.slice(cut + 1)}" is no digest`);
  return { repo: name, reference };
}

function requireTag(reference: Reference): Tag {
  if (reference.kind === 'tag') return storedTag(reference.tag);
  throw new ControlRefusal('name a tag: repository:tag');
}

function parseDigestArgument(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ControlRefusal(`"${text}" is no digest: write all of it, as sha256:<64 digits>`);
}

function parseTime(text: string): number {
  const timeMs = Date.parse(text);
  if (!Number.isNaN(timeMs)) return timeMs;
  throw new ControlRefusal(`"${text}" is no time: write it as 2026-01-31T09:00:00Z`);
}

function optionalText(args: ControlArguments, name: string): string | null {
  const value = args[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
