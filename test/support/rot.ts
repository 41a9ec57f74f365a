import { open, stat } from 'node:fs/promises';

/** Changes one bit of a file, and neither its size nor its times, as a disk does that rots. */
export async function rot(file: string): Promise<void> {
  const { atime, mtime } = await stat(file);
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, 2);
    byte[0] = (byte[0] ?? 0) ^ 1;
    await handle.write(byte, 0, 1, 2);
    await handle.utimes(atime, mtime);
  } finally {
    await handle.close();
  }
}
