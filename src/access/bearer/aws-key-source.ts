/**
 * Keys of tokens in a secret of AWS Secrets Manager: a JSON object whose names are the `kid` of tokens and whose
 * values are keys. Read when the first token comes, again when it is old, and when a token names a key that is not
 * there yet (a rotation), but not more often than every few seconds. While it cannot be read, the old keys stay.
 */
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import type { KeySource } from './key-source.ts';
import { KEY_BYTES_MAX, KeyError, readVerificationKey } from './verification-key.ts';
import type { VerificationKey } from './verification-key.ts';

export type AwsSecret = NonNullable<NonNullable<Config['http']['auth']['bearer']>['awsSecretsManager']>;

type Keys = ReadonlyMap<string, VerificationKey>;

const KEYS_MAX = 200;
const KID_CHARS_MAX = 256;
/** Reading it on behalf of unknown names, or after a failure, waits at least this long. */
const RETRY_MS = 5000;
const READ_TIMEOUT_MS = 10_000;

/** Fetches the text of the secret. */
export type ReadSecret = () => Promise<string>;

export class AwsKeySource implements KeySource {
  generation = 0;
  #read: ReadSecret;
  #refreshMs: number;
  #logger: Logger;
  #keys: Keys | null = null;
  #readMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;
  #problem: unknown = null;
  #text = '';

  constructor(read: ReadSecret, refreshMs: number, logger: Logger) {
    this.#read = read;
    this.#refreshMs = Math.max(1000, refreshMs);
    this.#logger = logger.child({ component: 'bearer' });
  }

  async find({ kid }: { readonly kid: unknown }): Promise<VerificationKey | null> {
    if (typeof kid !== 'string' || kid === '' || kid.length > KID_CHARS_MAX) return null;
    if (this.#mustRead(kid)) await (this.#reading ??= this.#load().finally(() => (this.#reading = null)));
    if (this.#keys === null) throw new Error('the keys of tokens cannot be read', { cause: this.#problem });
    return this.#keys.get(kid) ?? null;
  }

  #mustRead(kid: string): boolean {
    const nowMs = performance.now();
    const isKnown = this.#keys?.has(kid) === true;
    if (isKnown && nowMs - this.#readMs < this.#refreshMs) return false;
    const lastFailed = this.#readMs !== this.#triedMs;
    return this.#reading !== null || (isKnown && !lastFailed) || nowMs - this.#triedMs >= RETRY_MS;
  }

  async #load(): Promise<void> {
    this.#triedMs = performance.now();
    try {
      const text = await this.#read();
      if (text !== this.#text) {
        this.#keys = readKeys(text);
        this.#text = text;
        this.generation += 1;
        this.#logger.info({ keys: this.#keys.size }, 'the keys of tokens have been read');
      }
      this.#readMs = this.#triedMs;
    } catch (error) {
      this.#problem = error;
      this.#logger.error({ error }, 'the keys of tokens cannot be read from AWS Secrets Manager');
    }
  }

  close(): void {
    this.#keys = null;
  }
}

function readKeys(text: string): Keys {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error of the parser would show a part of the secret.
    throw new KeyError('the secret is not JSON');
  }
  if (text.length > KEY_BYTES_MAX * 2 || typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KeyError('the secret is not a JSON object of keys by their names');
  const entries = Object.entries(value);
  if (entries.length > KEYS_MAX) throw new KeyError(`the secret has more than ${KEYS_MAX} keys`);
  return new Map(entries.map(([kid, key]) => [kid, keyOf(kid, key)]));
}

function keyOf(kid: string, key: unknown): VerificationKey {
  if (typeof key !== 'string')
    throw new KeyError(`the key ${JSON.stringify(kid)} of the secret is not a text`);
  try {
    return readVerificationKey(key);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new KeyError(`the key ${JSON.stringify(kid)} of the secret: ${what}`);
  }
}

/** Reads the secret with the credentials that the SDK finds; the SDK is loaded when the first token comes. */
export function secretReader({ region, secretName }: AwsSecret): ReadSecret {
  let client: Promise<(signal: AbortSignal) => Promise<string>> | null = null;
  return async () => {
    client ??= openClient(region, secretName);
    return (await client)(AbortSignal.timeout(READ_TIMEOUT_MS));
  };
}

async function openClient(region: string, name: string): Promise<(signal: AbortSignal) => Promise<string>> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({ region });
  return async (signal) => {
    const answer = await client.send(new GetSecretValueCommand({ SecretId: name }), { abortSignal: signal });
    const bytes = answer.SecretBinary;
    const text =
      answer.SecretString ?? (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'));
    if (text === undefined) throw new KeyError('the secret is empty');
    return text;
  };
}
