import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export interface CookieKeys {
  /** Signs. */
  readonly hashKey: Buffer;
  /** Encrypts as well: 16, 24 or 32 bytes (AES-GCM). */
  readonly encryptKey: Buffer | null;
}

/** Cookies of any length are offered by clients; ours are shorter. */
const VALUE_LENGTH_MAX = 512;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Turns the id of a session into the value of its cookie and back. */
export class CookieCodec {
  #keys: CookieKeys;

  constructor(keys: CookieKeys) {
    this.#keys = keys;
  }

  seal(id: string): string {
    const payload = this.#keys.encryptKey === null ? id : encrypt(id, this.#keys.encryptKey);
    return `${payload}.${this.#sign(payload).toString('base64url')}`;
  }

  /** The id, or `null` for a value that was not sealed with these keys. */
  open(value: string): string | null {
    const [payload, signature, ...more] = value.length > VALUE_LENGTH_MAX ? [] : value.split('.');
    if (payload === undefined || signature === undefined || more.length > 0) return null;
    const given = Buffer.from(signature, 'base64url');
    const right = this.#sign(payload);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
    return this.#keys.encryptKey === null ? payload : decrypt(payload, this.#keys.encryptKey);
  }

  #sign(payload: string): Buffer {
    return createHmac('sha256', this.#keys.hashKey).update(`session cookie\0${payload}`).digest();
  }
}

/** AES-GCM; the initialisation vector and the tag stand in front. */
export function encrypt(text: string, key: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(cipherOf(key), key, iv);
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
}

/** `null` for what was not encrypted with this key. */
export function decrypt(sealed: string, key: Buffer): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < IV_BYTES + TAG_BYTES) return null;
  const decipher = createDecipheriv(cipherOf(key), key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  try {
    return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    // The tag does not fit: somebody else's.
    return null;
  }
}

function cipherOf(key: Buffer): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  if (key.length === 32) return 'aes-256-gcm';
  return key.length === 24 ? 'aes-192-gcm' : 'aes-128-gcm';
}

export interface CookieOptions {
  readonly secure: boolean;
  /** Out of reach of scripts. */
  readonly httpOnly: boolean;
  /** 0 or less removes the cookie. */
  readonly maxAgeSeconds: number;
  /** Where it is sent; everywhere, unless given. */
  readonly path?: string;
}

/** A `Set-Cookie` value (RFC 6265 section 4.1). `value` must hold no character that cookies may not. */
export function setCookie(name: string, value: string, options: CookieOptions): string {
  const { secure, httpOnly, maxAgeSeconds, path = '/' } = options;
  const age =
    maxAgeSeconds > 0 ? `Max-Age=${maxAgeSeconds}` : 'Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT';
  return [
    `${name}=${value}`,
    `Path=${path}`,
    age,
    httpOnly ? 'HttpOnly' : '',
    secure ? 'Secure' : '',
    'SameSite=Lax',
  ]
    .filter((part) => part !== '')
    .join('; ');
}

/** The value of a cookie of a request, `null` without it. */
export function cookieOf(header: string | string[] | undefined, name: string): string | null {
  if (header === undefined) return null;
  for (const pair of (Array.isArray(header) ? header.join(';') : header).split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return null;
}
