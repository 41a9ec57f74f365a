import { timingSafeEqual } from 'node:crypto';
import { hashSync } from 'bcryptjs';
import { parseShaCrypt, verifyShaCrypt } from './sha-crypt.ts';

/** A hashed password that can be verified. */
export interface StoredPassword {
  readonly kind: 'bcrypt' | 'sha256-crypt' | 'sha512-crypt';
  /** The cost of bcrypt (work is 2 to the power of it), the rounds of SHA-crypt. */
  readonly cost: number;
  /** As it stands in the file. */
  readonly text: string;
}

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** The highest that Apache's htpasswd makes: some ten seconds for a single sign-in. */
const BCRYPT_COST_MAX = 17;
const SHA_ROUNDS_MAX = 1_000_000;
/** Longer passwords are refused unread: hashing them costs more than any password is worth. */
export const PASSWORD_BYTES_MAX = 1024;
const BCRYPT_CHECKSUM_LENGTH = 31;

/** Reads a hash of a password file; a text that says what is wrong with it when it cannot be used. */
export function readStoredPassword(text: string): StoredPassword | string {
  const [, digits] = BCRYPT.exec(text) ?? [];
  if (digits !== undefined) {
    const cost = Number(digits);
    if (cost < 4) return `the bcrypt cost ${cost} is not allowed`;
    return cost > BCRYPT_COST_MAX
      ? `the bcrypt cost ${cost} is above ${BCRYPT_COST_MAX}`
      : { kind: 'bcrypt', cost, text };
  }
  const sha = parseShaCrypt(text);
  if (sha === null) return 'only bcrypt ($2a$, $2b$, $2y$) and SHA-crypt ($5$, $6$) hashes are accepted';
  if (sha.rounds > SHA_ROUNDS_MAX) return `${sha.rounds} rounds are above ${SHA_ROUNDS_MAX}`;
  return { kind: `${sha.algorithm}-crypt`, cost: sha.rounds, text };
}

/** A hash that no password fits, and that takes as long to verify as others of its kind and cost. */
export function impossiblePassword(kind: StoredPassword['kind'], cost: number): StoredPassword {
  const text =
    kind === 'bcrypt'
      ? `$2b$${String(cost).padStart(2, '0')}$${'abcdefghijklmnopqrstu.'}${'.'.repeat(BCRYPT_CHECKSUM_LENGTH)}`
      : `$${kind === 'sha256-crypt' ? 5 : 6}$rounds=${cost}$nobody$${'.'.repeat(kind === 'sha256-crypt' ? 43 : 86)}`;
  return { kind, cost, text };
}

/** Whether a password fits a hash that `readStoredPassword` accepted. Slow on purpose; compares in constant time. */
export function verifyPassword(password: string, text: string): boolean {
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX || password.includes('\0')) return false;
  const sha = parseShaCrypt(text);
  if (sha !== null) return verifyShaCrypt(password, sha);
  const settings = text.slice(0, -BCRYPT_CHECKSUM_LENGTH);
  const computed = hashSync(password, settings).slice(-BCRYPT_CHECKSUM_LENGTH);
  return timingSafeEqual(Buffer.from(computed), Buffer.from(text.slice(-BCRYPT_CHECKSUM_LENGTH)));
}
