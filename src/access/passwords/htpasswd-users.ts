import { createHash } from 'node:crypto';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { WatchedFile } from '#lib/watched-file';
import type { Standing, Voucher } from '../users/origins.ts';
import { HTPASSWD_BYTES_MAX, parseHtpasswd } from './htpasswd-file.ts';
import type { HtpasswdFile } from './htpasswd-file.ts';
import type { PasswordHashing } from './password-hashing.ts';
import type { PasswordAttempt, PasswordProof, PasswordSource } from './password-source.ts';
import { impossiblePassword } from './stored-password.ts';
import type { StoredPassword } from './stored-password.ts';

/** The users of a password file, as it is now. */
export class HtpasswdUsers implements PasswordSource, Voucher {
  readonly method = 'htpasswd';
  /** Whatever the file, its entries prove themselves. */
  readonly id = 'htpasswd';
  #file: WatchedFile<HtpasswdFile>;
  #hashing: PasswordHashing;
  #impossible: StoredPassword;

  /** Throws `StartError` when the file cannot be used. */
  constructor(path: string, hashing: PasswordHashing, logger: Logger) {
    const log = logger.child({ component: 'htpasswd', path });
    this.#hashing = hashing;
    try {
      this.#file = new WatchedFile({
        path,
        sizeBytesMax: HTPASSWD_BYTES_MAX,
        parse: parseHtpasswd,
        onProblem: (problem) =>
          log.error({ problem }, 'the changed password file cannot be used, the old users stay'),
        onChange: (file) => {
          this.#impossible = impossibleOf(file);
          log.info({ users: file.users.size }, 'the password file has been read again');
          warn(file, log);
        },
      });
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new StartError(`http.auth.htpasswd.path: the password file cannot be used: ${what}`, {
        cause: error,
      });
    }
    this.#impossible = impossibleOf(this.#file.content);
    warn(this.#file.content, log);
  }

  /** Takes the same time for users who are not there. Throws `HashingBusy`. */
  async verify(attempt: PasswordAttempt): Promise<PasswordProof | null> {
    const { username, password, source, known } = attempt;
    const entry = this.#file.content.users.get(username);
    const stored = (entry ?? this.#impossible).text;
    const fits = await this.#hashing.verify({ password, stored, source, known });
    return fits && entry !== undefined ? { groups: [], proof: proofOf(entry) } : null;
  }

  holds(username: string, proof: string | null): boolean {
    const entry = this.#file.content.users.get(username);
    return entry !== undefined && (proof === null || proof === proofOf(entry));
  }

  stampOf(username: string): string {
    const entry = this.#file.content.users.get(username);
    return entry === undefined ? 'absent' : proofOf(entry);
  }

  async standing(username: string, proof: string | null): Promise<Standing | null> {
    return this.holds(username, proof) ? { groups: [] } : null;
  }

  async close(): Promise<void> {
    this.#file.close();
  }
}

/** Asked for by every request of a remembered user, so made once for each entry of each reading of the file. */
const proofs = new WeakMap<StoredPassword, string>();

/** Changes with the stored password, and says nothing about it. */
function proofOf(entry: StoredPassword): string {
  let proof = proofs.get(entry);
  if (proof === undefined) {
    proof = createHash('sha256').update(entry.text).digest('base64url');
    proofs.set(entry, proof);
  }
  return proof;
}

function impossibleOf({ usual }: HtpasswdFile): StoredPassword {
  return impossiblePassword(usual.kind, usual.cost);
}

function warn(file: HtpasswdFile, log: Logger): void {
  if (file.users.size === 0) log.warn('the password file has no user who could sign in');
  for (const remark of file.remarks) log.warn({ remark }, 'a line of the password file needs a look');
}
