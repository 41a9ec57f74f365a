import { retentionCommands } from './retention-commands.ts';
import { storageCommands } from './storage-commands.ts';
import { transferCommands } from './transfer-commands.ts';
import { UsageError, type Command, type Flag } from './command.ts';

/**
 * The commands of `zot`. Each loads its module only when it is called, so that `--version` and `verify` do not pay for
 * the server.
 */

const strict: Flag = { name: 'strict', help: 'Refuse a configuration that names features this build lacks.' };
const json: Flag = { name: 'json', help: 'Print the result as JSON, for programs.' };

const serve: Command = {
  name: 'serve',
  summary: 'Start the registry.',
  description: [
    'Starts the registry and serves until it is told to stop (SIGTERM, SIGINT or SIGHUP).',
    'Without a configuration it listens on http://127.0.0.1:5000 and stores in ./zot-data.',
    'The configuration is the one of zot: JSON, YAML or TOML, told apart by the ending of the name.',
  ].join('\n'),
  args: [{ name: 'config', required: false, help: 'The configuration file.' }],
  flags: [
    { name: 'force-reparse', help: 'Rebuild the metadata from the storage folder before serving.' },
    strict,
  ],
  examples: ['zot serve', 'zot serve /etc/zot/config.json', 'zot serve config.yaml --strict'],
  async run(call) {
    const { serveCommand } = await import('./serve.ts');
    const [path] = call.positionals;
    return serveCommand({
      ...(path === undefined ? {} : { path }),
      strict: call.isSet('strict'),
      forceReparse: call.isSet('force-reparse'),
    });
  },
};

const verify: Command = {
  name: 'verify',
  summary: 'Check a configuration file and list everything that is wrong with it.',
  description: [
    'Reads a configuration as `serve` would, without starting anything.',
    'All errors are listed at once, each with the path of its key. Exit code 0 when it is valid, 1 when it is not.',
  ].join('\n'),
  args: [{ name: 'config', required: true, help: 'The configuration file.' }],
  flags: [strict, json],
  examples: ['zot verify config.json', 'zot verify config.json --strict --json'],
  async run(call, io) {
    const { verifyCommand } = await import('./verify.ts');
    const [path = ''] = call.positionals;
    return verifyCommand({ path, strict: call.isSet('strict'), json: call.isSet('json') }, io);
  },
};

const schema: Command = {
  name: 'schema',
  summary: 'Print the JSON Schema of the configuration.',
  description:
    'Prints the JSON Schema of the configuration file on stdout, for editors and for checks in pipelines.',
  args: [],
  flags: [],
  examples: ['zot schema > zot.schema.json'],
  async run(_call, io) {
    const { schemaCommand } = await import('./schema.ts');
    return schemaCommand(io);
  },
};

const access: Command = {
  name: 'access',
  summary: 'Explain who may do what, and which rule of a configuration decides.',
  description: [
    'Says whether a user may do something with a repository, which rule of http.accessControl decides, which patterns',
    'lost against it, which condition failed, and what would have to change. Nothing is started or contacted.',
    'Groups of the configuration are known; groups that a directory or provider would bring are given by --group.',
    'Exit code 0 when everything asked is allowed, 2 when something is refused, 1 for an unusable configuration.',
  ].join('\n'),
  args: [
    { name: 'explain', required: true, help: 'The word "explain".' },
    { name: 'config', required: true, help: 'The configuration file.' },
  ],
  flags: [
    { name: 'user', short: 'u', value: 'name', help: 'Who asks; without it somebody who has not signed in.' },
    {
      name: 'group',
      short: 'g',
      value: 'name',
      repeated: true,
      help: 'A group of the sign-in; may be repeated.',
    },
    { name: 'repo', short: 'r', value: 'name', help: 'The repository. Required.' },
    {
      name: 'action',
      short: 'a',
      value: 'what',
      help: 'pull (default), push, delete, read, create or update.',
    },
    { name: 'reference', value: 'tag', help: 'A tag or digest, for conditions.' },
    { name: 'ip', value: 'address', help: 'The address of the client, for conditions.' },
    { name: 'claims', value: 'json', help: 'The claims of an OIDC token as a JSON object, for conditions.' },
    { name: 'at', value: 'time', help: 'The time of the request (2026-01-31T09:00:00Z), for conditions.' },
    json,
  ],
  examples: [
    'zot access explain --user alice --repo team/app --action push config.json',
    'zot access explain --repo public/base config.json',
    'zot access explain -u bob -g developers -r team/app -a delete --ip 10.0.0.7 --json config.json',
  ],
  async run(call, io) {
    const [word, path = ''] = call.positionals;
    if (word !== 'explain')
      throw new UsageError(`"${word}" is not known here; write "zot access explain ..."`);
    const { accessExplainCommand } = await import('./access-explain.ts');
    const value = (flag: string): string | null => call.findValue(flag);
    return accessExplainCommand(
      {
        path,
        user: value('user'),
        groups: call.listValues('group'),
        repo: value('repo'),
        action: value('action'),
        reference: value('reference'),
        ip: value('ip'),
        claims: value('claims'),
        at: value('at'),
        json: call.isSet('json'),
      },
      io,
    );
  },
};

const check: Command = {
  name: 'check',
  summary: 'Look for damage in a storage folder.',
  description: [
    'Reads a storage folder and reports every damage it finds; it changes nothing.',
    'Exit code 0 when the folder is sound, 1 when something is wrong.',
  ].join('\n'),
  args: [
    {
      name: 'folder',
      required: true,
      help: 'The folder that holds the repositories (storage.rootDirectory).',
    },
  ],
  flags: [
    {
      name: 'deep',
      help: 'Also read every blob and compare its digest. Takes as long as reading all bytes.',
    },
    json,
  ],
  examples: ['zot check ./zot-data', 'zot check /var/lib/registry --deep --json'],
  async run(call, io) {
    const { checkCommand } = await import('./check.ts');
    const [folder = ''] = call.positionals;
    return checkCommand({ folder, json: call.isSet('json'), deep: call.isSet('deep') }, io);
  },
};

const htpasswd: Command = {
  name: 'htpasswd',
  summary: 'Add, change and remove the users of a password file.',
  description: [
    'Changes the file of `http.auth.htpasswd.path`: add, set (a new password), remove, list or verify.',
    'The password is asked for at the terminal, or read from standard input with --stdin. It is never an argument,',
    'since all users of a machine can see those. Stored is a bcrypt hash.',
    'The file is replaced as a whole and keeps its mode and owner; a running server takes it over within a second.',
    'Exit code 1 when verify finds the password wrong.',
  ].join('\n'),
  args: [
    { name: 'action', required: true, help: 'add, set, remove, list or verify.' },
    { name: 'file', required: true, help: 'The password file; add makes it when there is none.' },
    { name: 'user', required: false, help: 'The name of the user; not for list.' },
  ],
  flags: [
    { name: 'stdin', help: 'Read the password from the first line of standard input.' },
    {
      name: 'cost',
      value: 'number',
      help: 'The cost of the hash, 4 to 17; 10 unless given. Each step doubles the time.',
    },
    json,
  ],
  examples: [
    'zot htpasswd add /etc/zot/htpasswd alice',
    'zot htpasswd set /etc/zot/htpasswd alice --stdin < password.txt',
    'zot htpasswd list /etc/zot/htpasswd',
  ],
  async run(call, io) {
    const { htpasswdCommand } = await import('./htpasswd.ts');
    const [action = '', path = '', user = ''] = call.positionals;
    const args = {
      action,
      path,
      user,
      stdin: call.isSet('stdin'),
      cost: call.findValue('cost'),
      json: call.isSet('json'),
    };
    return htpasswdCommand(args, io, process.stdin);
  },
};

const licenses: Command = {
  name: 'licenses',
  summary: 'Print the licences of everything in this executable.',
  description:
    'Prints the licences of this program, of Node.js and of all packages that are inside the executable.',
  args: [],
  flags: [],
  examples: ['zot licenses'],
  async run(_call, io) {
    const { licensesCommand } = await import('./licenses.ts');
    return licensesCommand(io);
  },
};

/** The processes that `serve` starts by itself. They get their orders from their parent, not by flags. */
const keeper: Command = {
  name: 'internal-keeper',
  summary: 'The keeper process of a server.',
  description: 'Started by `serve`; not for use by hand.',
  args: [],
  flags: [],
  examples: [],
  hidden: true,
  async run() {
    const { main } = await import('../processes/keeper-main.ts');
    return main();
  },
};

const worker: Command = {
  name: 'internal-worker',
  summary: 'A serving process of a server.',
  description: 'Started by `serve`; not for use by hand.',
  args: [],
  flags: [],
  examples: [],
  hidden: true,
  async run() {
    const { main } = await import('../processes/worker-main.ts');
    return main();
  },
};

export const zotCommands: readonly Command[] = [
  serve,
  verify,
  schema,
  check,
  ...storageCommands,
  ...transferCommands,
  ...retentionCommands,
  access,
  htpasswd,
  licenses,
  keeper,
  worker,
];
