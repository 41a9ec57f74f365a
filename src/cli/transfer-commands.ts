import { existsSync } from 'node:fs';
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
  summary: 'Bring images into the storage: OCI layouts, archives, a docker-registry.',
  description: [
    'Imports an OCI image layout (a folder), a folder of layouts as "zot export" makes it, or a tar archive of one,',
    'plain or compressed by gzip or zstd, also through a pipe ("-"). Every digest is verified while it is read, and a',
    'name is given only when everything below it stands. A running server goes on serving; what is imported appears',
    'as if it was pushed. What stands already is proven instead of copied again, so that an import that was',
    'interrupted goes on where it was.',
    '"zot import docker-registry <its storage root> <config>" takes the storage folder of a docker-registry',
    '(distribution): repositories, tags, untagged manifests, signatures. Blobs are linked where both folders are on',
    'the same file system; what cannot be taken is named with the reason.',
    '"zot import zot-db <meta.db of zot> <config>" takes API keys, groups, stars, bookmarks, pull counts, times',
    'and who pushed over from the database of a zot that was stopped. Nobody may serve the folder of <config>',
    'meanwhile.',
    'Exit code 0 when everything was imported, 1 when something could not be; that is named and the rest goes on.',
  ].join('\n'),
  args: [
    folder,
    { name: 'source', required: true, help: 'A folder, an archive, or "-" for standard input.' },
    {
      name: 'more',
      required: false,
      help: 'After "docker-registry" or "zot-db" and what to read: the configuration, or storage folder.',
    },
  ],
  flags: [
    repoFlag,
    {
      name: 'tag',
      value: 'tag',
      repeated: true,
      help: 'Only what has this tag; may be repeated. A single image without a name gets it.',
    },
    {
      name: 'origin',
      value: 'name',
      help: 'For "zot-db": who vouches for users that are in no password file: ldap, openid:<provider>.',
    },
    json,
  ],
  examples: [
    'zot import /etc/zot/config.json app.tar --repo team/app',
    'zot import /var/lib/registry /mnt/backup',
    'zot import /var/lib/registry - --repo alpine < alpine.tar.gz',
    'zot import docker-registry /var/lib/docker-registry /etc/zot/config.json',
    'zot import zot-db /var/lib/registry/meta.db /etc/zot/config.json',
  ],
  async run(call, io) {
    const { importCommand: run, importDockerRegistryCommand } = await import('./transfer.ts');
    const [path = '', source = '', more] = call.positionals;
    if (path === 'docker-registry' && more !== undefined)
      return importDockerRegistryCommand({ target: more, source, ...importFlags(call) }, io);
    if (path === 'zot-db' && more !== undefined) {
      const { importZotDatabaseCommand } = await import('./import-zot-database.ts');
      const origin = call.findValue('origin');
      return importZotDatabaseCommand({ target: more, source, origin, json: call.isSet('json') }, io);
    }
    if (more !== undefined) throw new UsageError(`"${more}" is one argument too many`);
    // A configuration or folder may have such a name; where there is none, two words are too few.
    if ((path === 'docker-registry' || path === 'zot-db') && !existsSync(path))
      throw new UsageError(`name what to import and where: zot import ${path} <what to read> <config>`);
    return run({ target: path, source, ...importFlags(call) }, io, process.stdin);
  },
};

function importFlags(call: CommandCall): { repo: string | null; tags: readonly string[]; json: boolean } {
  return { repo: call.findValue('repo'), tags: call.listValues('tag'), json: call.isSet('json') };
}

const backup: Command = {
  name: 'backup',
  summary: 'Copy the records: API keys, sessions, pull counts, push times.',
  description: [
    'Writes a copy of what the registry knows and the images do not say, as of one moment, into one file. A running',
    'server goes on serving. The file is whole, proven and on the disk before it gets its name. It holds secrets, and',
    'only this user may read it. Images are copied by "zot export --all"; "zot restore" brings the records back.',
  ].join('\n'),
  args: [folder],
  flags: [
    { name: 'to', value: 'file', help: 'The file to write; one that is there is replaced. Required.' },
    json,
  ],
  examples: ['zot backup /etc/zot/config.json --to /mnt/backup/records.db'],
  async run(call, io) {
    const { backupCommand } = await import('./backup.ts');
    const file = call.findValue('to');
    if (file === null) throw new UsageError('say where to write the copy: --to <file>');
    return backupCommand({ target: call.positionals[0] ?? '', file, json: call.isSet('json') }, io);
  },
};

const restore: Command = {
  name: 'restore',
  summary: 'Put the records of a backup in the place of those of a storage folder.',
  description: [
    'Replaces API keys, sessions, pull counts and push times by those of a file that "zot backup" wrote. Nobody may',
    'serve the folder meanwhile: stop the server first. A backup that is damaged, or of a newer version, is refused,',
    'and nothing is changed. Images are brought back by "zot import".',
  ].join('\n'),
  args: [folder],
  flags: [{ name: 'from', value: 'file', help: 'The backup. Required.' }, json],
  examples: ['zot restore /etc/zot/config.json --from /mnt/backup/records.db'],
  async run(call, io) {
    const { restoreCommand } = await import('./backup.ts');
    const file = call.findValue('from');
    if (file === null) throw new UsageError('name the backup: --from <file>');
    return restoreCommand({ target: call.positionals[0] ?? '', file, json: call.isSet('json') }, io);
  },
};

export const transferCommands: readonly Command[] = [exportCommand, importCommand, backup, restore];
