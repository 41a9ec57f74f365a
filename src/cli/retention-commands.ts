import { UsageError } from './command.ts';
import type { Command } from './command.ts';
import { json } from './storage-commands.ts';

/** `zot retention`: a command with one action, so that others can follow. */
const retention: Command = {
  name: 'retention',
  summary: 'Show which tags and untagged manifests the policies of a configuration would remove.',
  description: [
    'Judges every tag by storage.retention of the given configuration, which need not be in force: the server that',
    'serves its storage.rootDirectory is asked, or the folder is read here when nobody serves it. Nothing is changed.',
    'Printed are the tags that would go, with the policy, the reason and what is known of pushes and pulls, then the',
    'manifests without a tag that would, and not before when; policies and patterns that match nothing are named.',
    'Exit code 0, whatever would go.',
  ].join('\n'),
  args: [
    { name: 'preview', required: true, help: 'The word "preview".' },
    { name: 'config', required: true, help: 'The configuration file.' },
  ],
  flags: [{ name: 'all', help: 'Show also what stays, each with what keeps it.' }, json],
  examples: ['zot retention preview config.json', 'zot retention preview new-policies.yaml --all --json'],
  async run(call, io) {
    const [word, target = ''] = call.positionals;
    if (word !== 'preview')
      throw new UsageError(`"${word}" is not known here; write "zot retention preview ..."`);
    const { retentionPreviewCommand } = await import('./retention.ts');
    return retentionPreviewCommand({ target, all: call.isSet('all'), json: call.isSet('json') }, io);
  },
};

/** zot's command for the same, with its flags. */
const verifyFeature: Command = {
  name: 'verify-feature',
  summary: 'Log what retention would do, as zot does; see also "zot retention preview".',
  description: [
    'Judges every tag by storage.retention of the given configuration and logs each decision, as a dry run does.',
    'Nothing is changed. Unlike that of zot it ends when all tags are judged, and works beside a running server.',
    'Exit code 1 where storage.gc is off.',
  ].join('\n'),
  args: [
    { name: 'retention', required: true, help: 'The word "retention".' },
    { name: 'config', required: true, help: 'The configuration file.' },
  ],
  flags: [
    { name: 'log-file', short: 'l', value: 'path', help: 'Write the log there instead of to stdout.' },
    {
      name: 'gc-interval',
      short: 'i',
      value: 'duration',
      help: 'Taken for the sake of scripts; without effect.',
    },
    {
      name: 'timeout',
      short: 't',
      value: 'duration',
      help: 'Taken for the sake of scripts; without effect.',
    },
  ],
  examples: ['zot verify-feature retention config.json --log-file retention.log'],
  async run(call, io) {
    const [word, target = ''] = call.positionals;
    if (word !== 'retention')
      throw new UsageError(`"${word}" is not known here; write "zot verify-feature retention ..."`);
    const { verifyRetentionCommand } = await import('./verify-retention.ts');
    return verifyRetentionCommand({ target, logFile: call.findValue('log-file') ?? '' }, io);
  },
};

export const retentionCommands: readonly Command[] = [retention, verifyFeature];
