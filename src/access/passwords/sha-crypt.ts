/**
 * Passwords hashed by SHA-crypt: `$5$` with SHA-256, `$6$` with SHA-512, as in /etc/shadow.
 * After "Unix crypt using SHA-256 and SHA-512" (Ulrich Drepper, 2007, public domain); the step numbers are those of
 * that text.
 */
import { hash, timingSafeEqual } from 'node:crypto';

export interface ShaCrypt {
  readonly algorithm: 'sha256' | 'sha512';
  readonly rounds: number;
  readonly salt: string;
  readonly checksum: string;
}

const ROUNDS_DEFAULT = 5000;
const ROUNDS_MIN = 1000;
const ROUNDS_MAX = 999_999_999;
const SALT_LENGTH_MAX = 16;
const FORM = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\n]*)\$([./0-9A-Za-z]+)$/;
const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Reads the text of a hash; `null` when it is none. */
export function parseShaCrypt(text: string): ShaCrypt | null {
  const [, kind, rounds, salt, checksum] = FORM.exec(text) ?? [];
  if (kind === undefined || salt === undefined || checksum === undefined) return null;
  const algorithm = kind === '5' ? 'sha256' : 'sha512';
  if (checksum.length !== (kind === '5' ? 43 : 86)) return null;
  const asked = rounds === undefined ? ROUNDS_DEFAULT : Number(rounds);
  return {
    algorithm,
    rounds: Math.min(ROUNDS_MAX, Math.max(ROUNDS_MIN, asked)),
    salt: salt.slice(0, SALT_LENGTH_MAX),
    checksum,
  };
}

/** Whether a password fits a hash; compares in constant time. */
export function verifyShaCrypt(password: string, stored: ShaCrypt): boolean {
  const computed = checksumOf(Buffer.from(password), stored);
  return timingSafeEqual(Buffer.from(computed), Buffer.from(stored.checksum));
}

/** The text after the last `$` of a hash. */
export function checksumOf(password: Buffer, parts: Omit<ShaCrypt, 'checksum'>): string {
  const { algorithm, rounds } = parts;
  const digest = (...pieces: readonly Buffer[]): Buffer => hash(algorithm, Buffer.concat(pieces), 'buffer');
  const salt = Buffer.from(parts.salt);
  const start = startOf(password, salt, digest);
  // Steps 12 to 16: sequences as long as the password, from the password written once for each of its bytes.
  const p = stretched(digest(Buffer.alloc(password.length ** 2, password)), password.length);
  // Steps 17 to 20: the same for the salt, written 16 and some times.
  const s = stretched(digest(...Array.from({ length: 16 + (start[0] ?? 0) }, () => salt)), salt.length);
  let sum = start;
  // Step 21.
  for (let round = 0; round < rounds; round += 1) {
    const isOdd = round % 2 === 1;
    const pieces = [isOdd ? p : sum];
    if (round % 3 !== 0) pieces.push(s);
    if (round % 7 !== 0) pieces.push(p);
    pieces.push(isOdd ? sum : p);
    sum = digest(...pieces);
  }
  return encoded(sum);
}

/** Steps 1 to 11. */
function startOf(password: Buffer, salt: Buffer, digest: (...pieces: readonly Buffer[]) => Buffer): Buffer {
  const b = digest(password, salt, password);
  const pieces = [password, salt, stretched(b, password.length)];
  for (let bits = password.length; bits > 0; bits >>>= 1) pieces.push((bits & 1) === 1 ? b : password);
  return digest(...pieces);
}

/** Repeats bytes up to a length. */
function stretched(bytes: Buffer, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes);
}

/** Step 22: three bytes at a time, taken from three places that move on in turn, as four characters. */
function encoded(sum: Buffer): string {
  const third = Math.floor(sum.length / 3);
  let [high, middle, low] = [0, third, 2 * third];
  let text = '';
  for (let triple = 0; triple < third; triple += 1) {
    text += characters(((sum[high] ?? 0) << 16) | ((sum[middle] ?? 0) << 8) | (sum[low] ?? 0), 4);
    [high, middle, low] =
      sum.length === 32 ? [low + 1, high + 1, middle + 1] : [middle + 1, low + 1, high + 1];
  }
  return sum.length === 32
    ? text + characters(((sum[31] ?? 0) << 8) | (sum[30] ?? 0), 3)
    : text + characters(sum[63] ?? 0, 2);
}

function characters(value: number, count: number): string {
  let text = '';
  for (let at = 0; at < count; at += 1) text += ALPHABET[(value >>> (6 * at)) & 63];
  return text;
}
