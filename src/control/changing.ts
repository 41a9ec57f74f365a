/** What all commands have in common that change what is stored. */
import { byteSize } from '#lib/byte-text';
import { RegistryError, StorageError } from '#registry';
import { ControlRefusal } from './contract.ts';
import type { ControlArguments, ControlHost } from './contract.ts';

/** Throws `ControlRefusal` in read-only mode, as the registry refuses its clients. */
export function requireWritable({ config }: ControlHost): void {
  if (config.storage.readOnly) throw new ControlRefusal('nothing is changed: storage.readOnly is set');
}

/** What the registry refuses is told to the user in its own words; faults stand in the log of the server, too. */
export async function inItsWords<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RegistryError || error instanceof StorageError)) throw error;
    const isFault = error instanceof StorageError || error.status >= 500;
    throw new ControlRefusal(wordsOf(error), isFault ? { cause: error } : {});
  }
}

/** What the registry or its storage says, with what its protocol keeps beside the message: the name, the cause. */
export function wordsOf(error: RegistryError | StorageError): string {
  if (error instanceof StorageError)
    return error.cause instanceof Error ? `${error.cause.message}, at ${error.path}` : error.message;
  const { name, free, required } = error.detail ?? {};
  if (error.code === 'NAME_UNKNOWN' && typeof name === 'string') return `there is no repository ${name}`;
  if (error.code === 'INSUFFICIENT_STORAGE' && typeof free === 'number' && typeof required === 'number')
    return `${error.message}: ${byteSize(free)} are free, ${byteSize(required)} are needed with storage.minFreeSpace`;
  return error.message;
}

/** Who runs the command, as far as the machine says. */
export function userOf({ user }: ControlArguments): string {
  return (typeof user === 'string' && user !== '' ? user : 'operator').slice(0, 200);
}
