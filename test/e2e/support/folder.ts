import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** All files below a storage folder, as relative paths in order; the registry's own databases are left out. */
export async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('_zot/'))
    .sort();
}
