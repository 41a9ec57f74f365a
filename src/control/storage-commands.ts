import { resolve } from 'node:path';
import { getuid } from 'node:process';
import type { Config } from '#config';
import type { ControlCall, ControlCommands } from './contract.ts';

/** What a command must know that works beside the server on its folder. */
export interface ServedStorage {
  /** The user that the server runs as; what it is to serve must be this user's. */
  readonly uid: number | null;
  /** As configured, with absolute paths. */
  readonly storage: Config['storage'];
  readonly manifestSizeBytesMax: number;
}

/** `storage.describe`: where the server keeps what, for commands that read and write beside it. */
export function addStorageCommands(commands: ControlCommands): void {
  commands.add('storage.describe', describe);
}

async function describe({ host: { config } }: ControlCall): Promise<ServedStorage> {
  const { storage, http } = config;
  const absolute = <Store extends { readonly rootDirectory: string }>(store: Store): Store => ({
    ...store,
    rootDirectory: resolve(store.rootDirectory),
  });
  const subPaths = Object.entries(storage.subPaths).map(([route, store]) => [route, absolute(store)]);
  return {
    uid: getuid?.() ?? null,
    storage: { ...absolute(storage), subPaths: Object.fromEntries(subPaths) },
    manifestSizeBytesMax: http.maxManifestSize,
  };
}
