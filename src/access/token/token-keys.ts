/**
 * The keys that sign our own tokens: a new one each day, made by the first process that needs it and kept in the
 * records, so that all processes and the next start agree. A token names its key by the day; only the keys of the
 * days that tokens can be alive on are looked for, and older ones are removed.
 */
import { createPrivateKey, createPublicKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Accounts } from '../contract.ts';

export interface TokenKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Seals what only we read in a token (AES-256). */
  readonly sealingKey: Buffer;
}

/** No token may live longer than a key is used. */
export const KEY_LIFE_MS = 24 * 3_600_000;
const SEED_BYTES = 32;
const PREFIX = 'token-key-';
const KID = /^token-key-(\d{8})$/;
/** An Ed25519 private key in PKCS#8 up to its seed (RFC 8410 section 7). */
const PKCS8_START = Buffer.from('302e020100300506032b657004220420', 'hex');

export class TokenKeys {
  #accounts: Accounts;
  #now: () => number;
  #known = new Map<string, TokenKey>();

  constructor(accounts: Accounts, now: () => number) {
    this.#accounts = accounts;
    this.#now = now;
  }

  /** The key of today. */
  async current(): Promise<TokenKey> {
    const day = this.#today();
    const kid = kidOf(day);
    const known = this.#known.get(kid);
    if (known !== undefined) return known;
    const kept =
      (await this.#accounts.findSharedKey(kid)) ??
      (await this.#accounts.keepSharedKey(kid, randomBytes(SEED_BYTES)));
    await this.#accounts.removeSharedKeys(PREFIX, kidOf(day - 1));
    return this.#remember(kid, kept);
  }

  /** The key that a token names; `null` for anything that is no key of these days. */
  async find(kid: unknown): Promise<TokenKey | null> {
    const [, digits] = (typeof kid === 'string' ? KID.exec(kid) : null) ?? [];
    // Tomorrow's: the clock of another host is ahead.
    if (digits === undefined || Math.abs(Number(digits) - this.#today()) > 1) return null;
    const name = `${PREFIX}${digits}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const kept = await this.#accounts.findSharedKey(name);
    return kept === null ? null : this.#remember(name, kept);
  }

  /** Whether a token may be one of ours, by the name of its key. */
  isOurs(kid: unknown): boolean {
    return typeof kid === 'string' && KID.test(kid);
  }

  #today(): number {
    return Math.floor(this.#now() / KEY_LIFE_MS);
  }

  #remember(kid: string, seed: Uint8Array): TokenKey {
    const key = keyFromSeed(kid, Buffer.from(seed));
    for (const name of this.#known.keys()) if (name < kidOf(this.#today() - 1)) this.#known.delete(name);
    this.#known.set(kid, key);
    return key;
  }
}

function kidOf(day: number): string {
  return `${PREFIX}${String(day).padStart(8, '0')}`;
}

function keyFromSeed(kid: string, seed: Buffer): TokenKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_START, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const sealingKey = Buffer.from(hkdfSync('sha256', seed, '', 'sealed part of tokens', 32));
  return { kid, privateKey, publicKey: createPublicKey(privateKey), sealingKey };
}
