import { UsageError } from './command.ts';
import type { Argument, Command, CommandCall, Flag } from './command.ts';
import { json, target } from './storage-commands.ts';

/** Commands that bring images in and out: beside the server that serves the folder, or when nobody does. */

const folder: Argument = {
  ...target,
  required: true,
  help: 'The configuration of the server, or its storage folder.',
};

const exportCommand: Command = {
  name: 'export',
  summary: 'Copy images out of the storage, as OCI image layouts or archives.',
  description: [
    'Copies repositories, or single images of them, into an OCI image layout: a folder, or a tar archive, which skopeo',
    '(oci:, oci-archive:), buildah and "docker load" read. Everything that an image needs goes with it, and so do its',
    'signatures and other referrers. Nothing is changed, and a running server goes on serving.',
    'One repository or image makes the layout at the target itself; several, or --all, make one layout each below it,',
    'a folder that this registry and zot can serve. What is in a folder already is kept, and proven instead of copied',
    'again: an export that was interrupted goes on where it was. An archive holds one repository and appears whole.',
    'Exit code 0 when everything was exported, 1 when something could not be; that is named and the rest goes on.',
  ].join('\n'),
  args: [
    folder,
    {
      name: 'image',
      required: false,
      repeated: true,
      help: 'A repository, or <repository>:<tag>, or <repository>@<digest>.',
    },
  ],
  flags: [
    {
      name: 'to',
      value: 'target',
      help: 'A folder, a file that ends in .tar, or "-" for standard output. Required.',
    },
    { name: 'all', help: 'Every repository; the target must be a folder.' },
    { name: 'no-referrers', help: 'Leave out signatures and other artifacts about the chosen images.' },
    json,
  ],
  examples: [
    'zot export /etc/zot/config.json team/app:1.0 --to app.tar',
    'zot export /var/lib/registry team/app team/base --to ./images',
    'zot export /var/lib/registry --all --to /mnt/backup',
    'zot export /var/lib/registry team/app:1.0 --to - | gzip > app.tar.gz',
  ],
  async run(call, io) {
    const { exportCommand: run } = await import('./transfer.ts');
    const [path = '', ...images] = call.positionals;
    const to = call.findValue('to');
    if (to === null) throw new UsageError('say where to export to: --to <folder>, --to <file>.tar or --to -');
    const all = call.isSet('all');
    if (all === images.length > 0) throw new UsageError('name repositories or images, or give --all');
    const referrers = !call.isSet('no-referrers');
    return run({ target: path, images, all, to, referrers, json: call.isSet('json') }, io);
  },
};

const repoFlag: Flag = {
  name: 'repo',
  value: 'name',
  help: 'The repository to import into. Needed where the source does not say it, and for standard input.',
};

const importCommand: Command = {
  name: 'import',
  summary: 'Bring images into the storage: OCI image layouts and archives of them.',
  description: [
    'Imports an OCI image layout (a folder), a folder of layouts as "zot export" makes it, or a tar archive of one,',
    'plain or compressed by gzip or zstd, also through a pipe ("-"). Every digest is verified while it is read, and a',
    'name is given only when everything below it stands. A running server goes on serving; what is imported appears',
    'as if it was pushed. What stands already is proven instead of copied again, so that an import that was',
    'interrupted goes on where it was.',
    'Exit code 0 when everything was imported, 1 when something could not be; that is named and the rest goes on.',
  ].join('\n'),
  args: [
    folder,
    { name: 'source', required: true, help: 'A folder, an archive, or "-" for standard input.' },
  ],
  flags: [
    repoFlag,
    {
      name: 'tag',
      value: 'tag',
      repeated: true,
      help: 'Only what has this tag; may be repeated. A single image without a name gets it.',
    },
    json,
  ],
  examples: [
    'zot import /etc/zot/config.json app.tar --repo team/app',
    'zot import /var/lib/registry /mnt/backup',
    'zot import /var/lib/registry - --repo alpine < alpine.tar.gz',
  ],
  async run(call, io) {
    const { importCommand: run } = await import('./transfer.ts');
    const [path = '', source = ''] = call.positionals;
    return run({ target: path, source, ...importFlags(call) }, io, process.stdin);
  },
};

function importFlags(call: CommandCall): { repo: string | null; tags: readonly string[]; json: boolean } {
  return { repo: call.findValue('repo'), tags: call.listValues('tag'), json: call.isSet('json') };
}

export const transferCommands: readonly Command[] = [exportCommand, importCommand];
