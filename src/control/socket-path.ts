import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** The kernel's limit for the path of a Unix socket is 108 bytes with the closing zero. */
const PATH_BYTES_MAX = 100;

/**
 * Where the control socket of a storage folder is: in the folder's own private part, or, when that path is too long
 * for a socket, in a private folder of the user's under the temporary directory.
 */
export function controlSocketPath(ownFolder: string): string {
  const real = realpathSync(ownFolder);
  const inside = join(real, 'control.sock');
  if (Buffer.byteLength(inside) <= PATH_BYTES_MAX) return inside;
  const name = createHash('sha256').update(real).digest('hex').slice(0, 24);
  const folder = join(tmpdir(), `zot-control-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Whoever made it before us could listen there in our place.
  const { uid, mode } = lstatSync(folder);
  if (uid !== userInfo().uid || (mode & 0o077) !== 0)
    throw new Error(`${folder} is not private to this user`);
  return join(folder, `${name}.sock`);
}
