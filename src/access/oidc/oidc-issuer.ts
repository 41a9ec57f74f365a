/**
 * One issuer of identity tokens and its keys (OpenID Connect Discovery 1.0). Asked when the first token comes, then
 * once a minute while tokens come, and at once, though not often, when a token names a key that is not there yet.
 * An issuer that cannot be reached keeps its last keys for a while; it never keeps the registry from starting.
 */
import { boundedFetch } from '#lib/bounded-fetch';
import type { Logger } from '#lib/logger';
import { TokenError } from '../bearer/signed-token.ts';
import type { TokenHeader } from '../bearer/signed-token.ts';
import { KeyError, fromJwk } from '../bearer/verification-key.ts';
import type { VerificationKey } from '../bearer/verification-key.ts';

export interface IssuerParts {
  readonly issuer: string;
  /** The document may name another issuer than the one it was asked from. */
  readonly skipIssuerVerification: boolean;
  /** Authorities for its certificate, PEM; `null`: the usual ones. */
  readonly authorities: () => string | null;
  readonly logger: Logger;
}

interface IssuerKey extends VerificationKey {
  readonly kid: string | null;
}

const FRESH_MS = 60_000;
/** After a failure, or for unknown keys, the issuer is asked again after this long. */
const RETRY_MS = 5000;
/** Keys of an issuer that cannot be reached any more count for this long. */
const STALE_MS = 15 * 60_000;
const TIMEOUT_MS = 5000;
const DOCUMENT_BYTES_MAX = 256 * 1024;
const KEYS_MAX = 100;
/** Keys that are tried for a token that names none. */
const TRIED_MAX = 8;

export class OidcIssuer {
  generation = 0;
  #parts: IssuerParts;
  #keys: readonly IssuerKey[] | null = null;
  #text = '';
  #readMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;
  #closing = new AbortController();

  constructor(parts: IssuerParts) {
    this.#parts = parts;
  }

  /** Keys that may have signed a token. Throws `TokenError` when the issuer cannot be asked or has none. */
  async keysFor(header: TokenHeader): Promise<readonly VerificationKey[]> {
    const nowMs = performance.now();
    const known = this.#fitting(header);
    const isFresh = nowMs - this.#readMs < FRESH_MS;
    if (known.length === 0 || nowMs - this.#readMs >= STALE_MS) await this.#refresh();
    // Old keys serve while new ones are fetched beside the request.
    else if (!isFresh) void this.#refresh();
    const fitting = this.#fitting(header);
    if (fitting.length > 0) return fitting;
    throw new TokenError(
      this.#keys === null ? 'the issuer cannot be asked' : 'the issuer has no key of this name',
    );
  }

  #fitting({ kid, alg }: TokenHeader): readonly IssuerKey[] {
    if (this.#keys === null || performance.now() - this.#readMs >= STALE_MS) return [];
    const fitting = this.#keys.filter(
      (key) => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid),
    );
    return fitting.slice(0, TRIED_MAX);
  }

  async #refresh(): Promise<void> {
    if (this.#reading === null && performance.now() - this.#triedMs < RETRY_MS) return;
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    await this.#reading;
  }

  async #read(): Promise<void> {
    this.#triedMs = performance.now();
    const { issuer, logger } = this.#parts;
    try {
      const text = await this.#fetch(await this.#discover());
      if (text !== this.#text) {
        this.#keys = readKeys(text);
        this.#text = text;
        this.generation += 1;
        logger.info(
          { component: 'oidc', issuer, keys: this.#keys.length },
          'the keys of an issuer have been read',
        );
      }
      this.#readMs = performance.now();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      logger.warn({ component: 'oidc', issuer, error }, 'the keys of an issuer cannot be read');
    }
  }

  /** The address of the keys. */
  async #discover(): Promise<URL> {
    const { issuer, skipIssuerVerification } = this.#parts;
    const base = new URL(issuer);
    const document = jsonObject(
      await this.#fetch(new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)),
    );
    if (document.issuer !== issuer && !skipIssuerVerification)
      throw new Error(`the document of ${issuer} names another issuer`);
    const url = typeof document.jwks_uri === 'string' ? URL.parse(document.jwks_uri) : null;
    if (url === null) throw new Error('the document has no jwks_uri');
    // Keys must not come by an easier way than the document that names them.
    if (url.protocol !== 'https:' && url.protocol !== base.protocol) throw new Error('jwks_uri is not https');
    return url;
  }

  async #fetch(url: URL): Promise<string> {
    const ca = this.#parts.authorities();
    const answer = await boundedFetch(url, {
      headers: { accept: 'application/json' },
      timeoutMs: TIMEOUT_MS,
      sizeBytesMax: DOCUMENT_BYTES_MAX,
      signal: this.#closing.signal,
      ...(ca === null ? {} : { ca }),
    });
    if (answer.status !== 200) throw new Error(`${url.href} answered ${answer.status}`);
    return answer.body.toString('utf8');
  }

  close(): void {
    this.#closing.abort();
  }
}

function jsonObject(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('the document is no object');
  return { ...value };
}

/** Keys of other kinds, such as for encryption, are left out. */
function readKeys(text: string): readonly IssuerKey[] {
  const { keys } = jsonObject(text);
  if (!Array.isArray(keys) || keys.length > KEYS_MAX)
    throw new Error(`the key set is no list of at most ${KEYS_MAX} keys`);
  return keys.flatMap((jwk: unknown) => {
    try {
      return [{ ...fromJwk(jwk), kid: kidOf(jwk) }];
    } catch (error) {
      if (error instanceof KeyError) return [];
      throw error;
    }
  });
}

function kidOf(jwk: unknown): string | null {
  return typeof jwk === 'object' && jwk !== null && 'kid' in jwk && typeof jwk.kid === 'string'
    ? jwk.kid
    : null;
}
