import { copyFile, link, mkdir, mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As `onCopy`, and names that share a file share one in the copy too. */
export async function onLinkedCopy<Result>(
  source: string,
  work: (root: string) => Promise<Result>,
): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'zot-faults-'));
  try {
    await copy(source, root, new Map());
    return await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function copy(source: string, target: string, made: Map<number, string>): Promise<void> {
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) {
      await mkdir(to);
      await copy(from, to, made);
    } else if (entry.isFile()) {
      const { ino, atime, mtime } = await stat(from);
      const first = made.get(ino);
      if (first !== undefined) await link(first, to);
      else {
        await copyFile(from, to);
        await utimes(to, atime, mtime);
        made.set(ino, to);
      }
    }
  }
}
