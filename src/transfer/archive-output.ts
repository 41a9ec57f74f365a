import { rmSync } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { randomBytes } from 'node:crypto';
import { TransferRefusal } from './refusal.ts';
import type { ByteSink } from './tar-writer.ts';

const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Writes a file that gets its name only when `fill` has written all of it and it is durable. Nothing is left when that
 * fails.
 */
export async function writeWhole(path: string, fill: (write: ByteSink) => Promise<void>): Promise<void> {
  await removeAbandoned(path);
  const staged = `${path}.${randomBytes(6).toString('hex')}.part`;
  const file = await open(staged, 'wx', 0o600).catch((error: unknown) => {
    throw new TransferRefusal(`${path} cannot be written: ${messageOf(error)}`, { cause: error });
  });
  const settle = removeWhenStopped(staged);
  try {
    try {
      await fill(async (bytes) => {
        for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
      });
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staged, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  } finally {
    settle();
  }
}

/** Whoever stops the program, by Ctrl-C say, gets rid of the file too. Gives what ends that. */
function removeWhenStopped(path: string): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const settle = (): void => {
    for (const signal of signals) process.off(signal, stop);
  };
  const stop = (signal: NodeJS.Signals): void => {
    settle();
    rmSync(path, { force: true });
    // Now it ends the process, which says so to whoever waits for it.
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, stop);
  return settle;
}

/** Removes what writers that were killed left; one that works has written to its file lately. */
async function removeAbandoned(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  // A folder that cannot be listed is told of when the file is made.
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{12}\.part$/.test(name.slice(prefix.length))) continue;
    const found = await stat(join(folder, name));
    if (Date.now() - found.mtimeMs > ABANDONED_MS) await rm(join(folder, name), { force: true });
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Writes to a stream; waits while its reader is slower. */
export function streamSink(stream: Writable): ByteSink {
  const failed = Promise.withResolvers<never>();
  // It is told by the next write.
  failed.promise.catch(() => undefined);
  stream.on('error', (error) =>
    failed.reject(new TransferRefusal(`the output cannot be written: ${error.message}`, { cause: error })),
  );
  return async (bytes) => {
    const taken = new Promise<void>((resolve) => void stream.write(bytes, () => resolve()));
    await Promise.race([taken, failed.promise]);
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
