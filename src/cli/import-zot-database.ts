import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '#config';
import { ControlRefusal } from '#control';
import { openLog } from '#lib/logger';
import { heldByZot } from '#metadata';
import { Tally, TransferRefusal, importZotDatabase } from '#transfer';
import type { ZotDatabaseReport } from '#transfer';
import { parseScopes } from '../access/api-keys/api-key-scope.ts';
import { openKeeperSide, requireOwner } from '../app.ts';
import type { CommandIo } from './command.ts';
import { configOf, refusing } from './control.ts';
import { listUsers } from './htpasswd-text.ts';

export interface ZotDatabaseArguments {
  /** The configuration of this registry, or its storage folder. */
  readonly target: string;
  /** The file, or the storage folder of zot that holds it. */
  readonly source: string;
  /** Who vouches for the users that the configuration says nothing about. */
  readonly origin: string | null;
  readonly json: boolean;
}

/** `zot import zot-db`: takes over what a zot that was stopped kept of users, pulls and pushes. */
export function importZotDatabaseCommand(args: ZotDatabaseArguments, io: CommandIo): Promise<number> {
  return refusing(io, async () => {
    const file = fileOf(args.source);
    const config = configOf(args.target);
    requireOwner(join(config.storage.rootDirectory, '_zot'));
    const tally = new Tally();
    const report = await take(config, { file, origin: args.origin, tally }, io);
    io.stdout.write(args.json ? jsonReport(report, tally) : textReport(report, tally));
    return tally.skippedCount === 0 ? 0 : 1;
  });
}

function fileOf(source: string): string {
  const isFolder = statSync(source, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = isFolder ? join(source, 'meta.db') : source;
  if (!existsSync(file)) throw new ControlRefusal(`there is no ${file}`);
  if (heldByZot(dirname(file))) throw new ControlRefusal(`stop zot first: it has ${file} open`);
  return file;
}

async function take(
  config: Config,
  { file, origin, tally }: { readonly file: string; readonly origin: string | null; readonly tally: Tally },
  io: CommandIo,
): Promise<ZotDatabaseReport> {
  const log = openLog({ level: 'error', output: '', sink: io.stderr, audit: config.log.audit });
  const side = await openKeeperSide({ config, logger: log.logger, audit: log.audit, serving: false });
  try {
    await side.walked;
    const originOf = origins(config, origin);
    const checkScopes = (scopes: readonly string[]): void => void parseScopes(scopes);
    return await importZotDatabase({ records: side.records, originOf, checkScopes, tally }, file);
  } catch (error) {
    if (error instanceof TransferRefusal) throw new ControlRefusal(error.message, { cause: error });
    throw error;
  } finally {
    await side.close();
    await log.flush();
  }
}

/** Who vouches for a user: the password file that has them; else the directory, or the only provider there is. */
function origins({ http: { auth } }: Config, fallback: string | null): (user: string) => string | null {
  const path = auth.htpasswd?.path ?? '';
  const users = path === '' ? [] : listUsers(readFileSync(path, 'utf8')).map(({ user }) => user);
  const known = new Set(users);
  const others = Object.keys(auth.openid?.providers ?? {}).map((provider) => `openid:${provider}`);
  if (auth.ldap !== undefined) others.unshift('ldap');
  const [only, second] = others;
  const other = fallback ?? (second === undefined ? (only ?? null) : null);
  return (user) => (known.has(user) ? 'htpasswd' : other);
}

function textReport(report: ZotDatabaseReport, tally: Tally): string {
  const { apiKeys, apiKeysPresent, groups, stars, bookmarks, manifests, tags } = report;
  const lines = tally.skipped.map(({ what, why }) => `not imported: ${what}: ${why}\n`);
  const keys = `${apiKeys} API keys (${apiKeysPresent} were here already), groups of ${groups} users`;
  const favourites = `${stars} stars, ${bookmarks} bookmarks`;
  const rest = `counts of ${manifests} manifests, times of ${tags} tags`;
  return `${lines.join('')}imported: ${keys}, ${favourites}, ${rest}\n`;
}

function jsonReport(report: ZotDatabaseReport, { skipped, skippedCount }: Tally): string {
  return `${JSON.stringify({ ...report, skipped, skippedCount }, null, 2)}\n`;
}
