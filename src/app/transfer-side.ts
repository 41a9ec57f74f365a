/** A command that moves many bytes: it writes them itself, beside the server or in its place. */
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { getuid } from 'node:process';
import type { Config } from '#config';
import { ControlRefusal } from '#control';
import type { ServedStorage } from '#control';
import type { AuditLog } from '#lib/audit-log';
import type { Logger } from '#lib/logger';
import type { IndexReader } from '#metadata';
import { Registry, noHooks, spaceLimitOf } from '#registry';
import type { Keeper } from '#registry';
import { OWN_FOLDER } from '#storage';
import type { Storage } from '#storage';
import { askServer, attachToKeeper } from '../control/control-client.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import { RemoteKeeper } from '../processes/remote-keeper.ts';
import { openStorage } from './folder.ts';
import { openKeeperSide } from './keeper-side.ts';
import { isUnderQuota } from './quotas.ts';
import { openServingIndex } from './serving-side.ts';

export interface TransferSide {
  readonly registry: Registry;
  readonly keeper: Keeper;
  readonly index: IndexReader;
  readonly storage: Storage;
  readonly manifestSizeBytesMax: number;
  close(): Promise<void>;
}

export interface TransferOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly audit: AuditLog;
  /** Whether bytes will be written, which must belong to the user of the server. */
  readonly writes: boolean;
}

/**
 * Opens the registry of a folder for a command: as one more serving process of the server that serves it, or as the
 * keeper when nobody does. Throws `ControlRefusal` or `StartError`.
 */
export async function openTransferSide(options: TransferOptions): Promise<TransferSide> {
  const root = resolve(options.config.storage.rootDirectory);
  if (!existsSync(root)) throw new ControlRefusal(`there is no folder ${root}`);
  const ownFolder = join(root, OWN_FOLDER);
  const path = existsSync(ownFolder) ? controlSocketPath(ownFolder) : null;
  const call = { command: 'storage.describe', args: {} };
  const answer = path === null ? null : await askServer(path, call, () => undefined);
  if (path === null || answer === null) return openAlone(options);
  // The other side is this program too.
  return openBeside(options, path, answer.result as ServedStorage);
}

async function openAlone({ config, logger, audit }: TransferOptions): Promise<TransferSide> {
  requireOwner(join(resolve(config.storage.rootDirectory), OWN_FOLDER));
  const side = await openKeeperSide({ config, logger, audit, serving: false });
  await side.walked;
  const { keeper, index, storage } = side;
  return sideOf(config, { keeper, index, storage, logger }, () => side.close());
}

/**
 * Refuses to write into the folder of another user: the registry could not read what root leaves there. Throws
 * `ControlRefusal`.
 */
export function requireOwner(ownFolder: string): void {
  const owner = ownerOf(ownFolder);
  if (owner !== undefined && getuid !== undefined && owner !== getuid()) throw otherUser(owner);
}

function ownerOf(ownFolder: string): number | undefined {
  try {
    return statSync(ownFolder, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    // Whoever may not even look is not its owner.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    const how = 'run this command as the user of the registry';
    throw new ControlRefusal(`${dirname(ownFolder)} may not be looked at by this user: ${how}`, {
      cause: error,
    });
  }
}

function otherUser(uid: number | null): ControlRefusal {
  const how = `run this command as that user, as in "sudo -u '#${uid}' zot ..."`;
  return new ControlRefusal(`the registry runs as user ${uid}: ${how}`);
}

async function openBeside(
  { config, logger, writes }: TransferOptions,
  path: string,
  served: ServedStorage,
): Promise<TransferSide> {
  const uid = getuid?.() ?? null;
  if (writes && served.uid !== uid) throw otherUser(served.uid);
  const http = { ...config.http, maxManifestSize: served.manifestSizeBytesMax };
  const own: Config = { ...config, http, storage: served.storage };
  const keeper = new RemoteKeeper(path, attachToKeeper);
  await keeper.connect();
  const index = openServingIndex(own);
  keeper.onReplaced(
    () =>
      void index.reopen().catch((error: unknown) => logger.error({ error }, 'the index cannot be opened')),
  );
  const storage = openStorage(own);
  return sideOf(own, { keeper, index, storage, logger }, async () => {
    await keeper.close();
    await index.close();
    await storage.close();
  });
}

function sideOf(
  config: Config,
  parts: Pick<TransferSide, 'keeper' | 'index' | 'storage'> & { readonly logger: Logger },
  close: () => Promise<void>,
): TransferSide {
  const { keeper, index, storage, logger } = parts;
  const registry = new Registry({
    storage,
    index,
    keeper,
    hooks: noHooks(),
    spaceLimit: spaceLimitOf(config.storage.minFreeSpace),
    isUnderQuota: (repo) => isUnderQuota(config, repo),
    readOnly: config.storage.readOnly,
    // Uploads of a command are nobody else's, and end with it.
    uploadKey: randomBytes(32),
    report: (problem, error) => logger.error({ error }, problem),
  });
  return {
    registry,
    keeper,
    index,
    storage,
    manifestSizeBytesMax: config.http.maxManifestSize,
    close: async () => {
      // Where uploads were begun, and perhaps broken off.
      await registry.uploads.noteBegun();
      await registry.close();
      await close();
    },
  };
}
