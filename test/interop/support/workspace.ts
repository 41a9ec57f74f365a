import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A temporary folder of a suite. */
export interface Workspace {
  readonly folder: string;
  file(name: string): string;
  remove(): Promise<void>;
}

export async function makeWorkspace(name: string): Promise<Workspace> {
  const folder = await mkdtemp(path.join(tmpdir(), `interop-${name}-`));
  return {
    folder,
    file: (fileName) => path.join(folder, fileName),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
