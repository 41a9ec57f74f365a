import { UsageError } from './command.ts';
import type { Argument, Command, Flag } from './command.ts';

/** Commands on a storage folder: answered by the server that serves it, or here when nobody does. */

/** What these commands work on. */
export const target: Argument = {
  name: 'config',
  required: false,
  help: 'The configuration of the server, or its storage folder; without one, ./zot-data.',
};

export const json: Flag = { name: 'json', help: 'Print the result as JSON, for programs.' };

const gc: Command = {
  name: 'gc',
  summary: 'Collect garbage now.',
  description: [
    'Removes what nothing needs any more: blobs, manifests without a tag, uploads that were given up.',
    'What is younger than storage.gcDelay stays. A running server goes on serving: it marks blobs first and removes',
    'their bytes when a grace is over, so that no push in flight loses what it needs.',
  ].join('\n'),
  args: [target],
  flags: [
    { name: 'dry-run', help: 'Say what would be removed, and remove nothing.' },
    {
      name: 'full',
      help: 'Look at everything on the store, not only at what was noted as possible garbage.',
    },
    json,
  ],
  examples: ['zot gc config.json --dry-run', 'zot gc /var/lib/registry --full'],
  async run(call, io) {
    const { gcCommand } = await import('./gc.ts');
    const [path = ''] = call.positionals;
    const flags = { dryRun: call.isSet('dry-run'), full: call.isSet('full'), json: call.isSet('json') };
    return gcCommand({ target: path, ...flags }, io);
  },
};

const tasks: Command = {
  name: 'tasks',
  summary: 'Show what background work runs, waits, and how it ended last.',
  description: 'Asks the server that serves the folder for its background work.',
  args: [target],
  flags: [json],
  examples: ['zot tasks config.json', 'zot tasks config.json --json'],
  async run(call, io) {
    const { tasksCommand } = await import('./tasks.ts');
    const [path = ''] = call.positionals;
    return tasksCommand({ target: path, json: call.isSet('json') }, io);
  },
};

const quota: Command = {
  name: 'quota',
  summary: 'Show the quotas and what is used of them.',
  description: [
    'Lists storage.quotas with what the repositories under each prefix use. A blob counts once for each prefix,',
    'however many repositories hold it; what uploads under way were promised is shown beside it.',
  ].join('\n'),
  args: [target],
  flags: [json],
  examples: ['zot quota config.json', 'zot quota config.json --json'],
  async run(call, io) {
    const { quotaCommand } = await import('./quota.ts');
    const [path = ''] = call.positionals;
    return quotaCommand({ target: path, json: call.isSet('json') }, io);
  },
};

const tag: Command = {
  name: 'tag',
  summary: 'Show the history of a tag, restore it, or purge what it names.',
  description: [
    'history: what a tag named, when, and who changed it, the newest first. Needs storage.undo.',
    'restore: lets it name again what it did before its last change, at a time (--at), or any manifest (--digest).',
    'purge: removes a manifest with its tags and its bytes for good, without undo: for a secret that was pushed.',
    'Asks the server that serves the folder, or works on the folder itself when nobody does.',
  ].join('\n'),
  args: [
    { name: 'action', required: true, help: 'history, restore or purge.' },
    { name: 'config', required: true, help: 'The configuration of the server, or its storage folder.' },
    { name: 'image', required: true, help: 'repository:tag; for purge also repository@digest.' },
  ],
  flags: [
    { name: 'digest', value: 'digest', help: 'restore: the manifest that the tag is to name.' },
    { name: 'at', value: 'time', help: 'restore: what it named at this time (2026-01-31T09:00:00Z).' },
    { name: 'yes', short: 'y', help: 'purge: do not ask.' },
    json,
  ],
  examples: [
    'zot tag history config.json team/app:latest',
    'zot tag restore config.json team/app:latest --at 2026-01-31T09:00:00Z',
    'zot tag purge config.json team/app:leaked',
  ],
  async run(call, io) {
    const [action = '', target = '', image = ''] = call.positionals;
    if (action !== 'history' && action !== 'restore' && action !== 'purge')
      throw new UsageError(`"${action}" is not known here; write history, restore or purge`);
    const { tagCommand } = await import('./tag.ts');
    const [digest, at] = [call.findValue('digest'), call.findValue('at')];
    const flags = { digest, at, yes: call.isSet('yes'), json: call.isSet('json') };
    return tagCommand({ action, target, image, ...flags }, io, process.stdin);
  },
};

const scrub: Command = {
  name: 'scrub',
  summary: 'Read all stored bytes and find what is damaged.',
  description: [
    'Reads every manifest and blob, compares it with its digest, and names what is damaged. Damaged content is not',
    'served; it is mended from another copy where there is one, or by the next push of it.',
    'A running server does it beside its work, at the rate of extensions.scrub.rate.',
    'Exit code 0 when everything is sound, 2 when something is damaged, 1 when something could not be looked at.',
  ].join('\n'),
  args: [target],
  flags: [json],
  examples: ['zot scrub config.json', 'zot scrub /var/lib/registry --json'],
  async run(call, io) {
    const { scrubCommand } = await import('./scrub.ts');
    const [path = ''] = call.positionals;
    return scrubCommand({ target: path, json: call.isSet('json') }, io);
  },
};

const repo: Command = {
  name: 'repo',
  summary: 'Delete or rename a whole repository.',
  description: [
    'delete removes a repository with all its tags, manifests and blobs. rename gives it another name: readers see the',
    'old name or the new one, never half of both, and tags, download counts and times go along. The new name must be',
    'free and in the same store. Uploads under way in the repository are ended.',
    'It asks before it does so; --yes answers for scripts. A running server goes on serving.',
  ].join('\n'),
  args: [
    { name: 'action', required: true, help: 'delete or rename.' },
    { name: 'config', required: true, help: 'The configuration of the server, or its storage folder.' },
    { name: 'name', required: true, help: 'The repository.' },
    { name: 'new-name', required: false, help: 'For rename: the new name.' },
  ],
  flags: [{ name: 'yes', short: 'y', help: 'Do not ask.' }, json],
  examples: [
    'zot repo delete config.json team/old-app',
    'zot repo rename config.json team/app team/web --yes',
  ],
  async run(call, io) {
    const { repoCommand } = await import('./repo.ts');
    const [action = '', path = '', name = '', newName = ''] = call.positionals;
    const flags = { yes: call.isSet('yes'), json: call.isSet('json') };
    return repoCommand({ action, target: path, name, newName, ...flags }, io, process.stdin);
  },
};

export const storageCommands: readonly Command[] = [gc, scrub, quota, repo, tag, tasks];
