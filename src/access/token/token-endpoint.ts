/**
 * `/zot/auth/token`. In this order:
 *
 * 1. A credential that is an identity token of a configured issuer is verified and given back as the token: it is
 *    what it would be exchanged for. Never sent elsewhere, nor is an identity token of a sign-in in the browser.
 * 2. Where we give out tokens: whoever signs in by whichever way gets one, narrowed to what the policies allow.
 * 3. Where another token server is named: the request is handed on, unless the credentials are good here.
 */
import type { Config } from '#config';
import { RegistryError } from '#oci/errors';
import { basicCredentials } from '../basic-credentials.ts';
import type { BasicCredentials } from '../basic-credentials.ts';
import { isApiKey } from '../api-keys/api-keys.ts';
import { isCompactJws } from '../bearer/offered-token.ts';
import type { OidcTokens } from '../oidc/oidc-tokens.ts';
import { TokenError, audiencesOf, unverifiedClaims } from '../bearer/signed-token.ts';
import { quoted } from '../challenges.ts';
import type {
  Access,
  AccessRequest,
  AuditEvent,
  Identity,
  Refused,
  TokenAnswer,
  TokenAsk,
  TokenDesk,
} from '../contract.ts';
import type { IssuedToken, OwnTokens } from './own-tokens.ts';
import { narrowed, parseRequestedScopes } from './requested-scope.ts';
import type { AccessEntry } from './requested-scope.ts';
import { askUpstream } from './upstream-tokens.ts';

type Judge = Pick<Access, 'identify' | 'reaches'>;

export interface TokenEndpointParts {
  readonly config: Config;
  readonly oidc: OidcTokens | null;
  readonly own: OwnTokens | null;
  /** Hears of every token that is given out. */
  readonly audit: (event: AuditEvent) => void;
}

/** Form fields that may hold a token, in zot's order. */
const FIELDS = ['password', 'id_token', 'access_token', 'refresh_token', 'token'] as const;
/** What an audit record shows of the scopes of a token. */
const SHOWN_SCOPES_CHARS = 1024;
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

export class TokenEndpoint implements TokenDesk {
  #parts: TokenEndpointParts;

  constructor(parts: TokenEndpointParts) {
    this.#parts = parts;
  }

  async answer(ask: TokenAsk, access: Judge): Promise<TokenAnswer> {
    const answer = await this.#answer(ask, access);
    return { ...answer, headers: { ...answer.headers, ...NO_STORE } };
  }

  async #answer(ask: TokenAsk, access: Judge): Promise<TokenAnswer> {
    if (ask.request.authorization.length > 1) throw this.#unauthorized('more than one Authorization header');
    const basic = basicOf(ask.request);
    const exchanged = await this.#exchange(offeredJwts(basic, ask.form));
    if (exchanged !== null) return exchanged;
    const { own, config } = this.#parts;
    if (own !== null) {
      const issued = await this.#issue(own, ask, access);
      if (issued !== null) return issued;
    }
    const upstream = config.http.auth.bearer?.upstreamTokenEndpoint;
    if (upstream === undefined) throw this.#unauthorized('the credentials are not accepted');
    if (await this.#isOwnUser(ask, access))
      throw this.#unauthorized('these credentials are not for a token server');
    return askUpstream(upstream, ask);
  }

  /** Verifies identity tokens of our issuers; `null` when none is offered. */
  async #exchange(offered: readonly string[]): Promise<TokenAnswer | null> {
    const { oidc, config } = this.#parts;
    const ours = offered.filter((token) => oidc?.owns(token) === true);
    for (const token of ours) {
      try {
        const user = await oidc?.verify(token);
        if (user !== undefined) return tokenAnswer(token, user.claims, user.expiryMs);
      } catch (error) {
        if (!(error instanceof TokenError)) throw error;
      }
    }
    if (ours.length > 0 || offered.some((token) => isOfBrowserSignIn(config, token)))
      throw this.#unauthorized('the identity token is not accepted');
    return null;
  }

  /** `null` for credentials that are not ours, where another token server may know them. */
  async #issue(own: OwnTokens, ask: TokenAsk, access: Judge): Promise<TokenAnswer | null> {
    const parameters = parametersOf(ask);
    const service = parameters.get('service') ?? '';
    if (service !== '' && service !== own.service) {
      if (this.#hasUpstream) return null;
      throw new RegistryError('REQUEST_INVALID', {
        message: `tokens are given out for the service ${own.service}`,
      });
    }
    const asked = parseRequestedScopes(parameters.getAll('scope'));
    const identity = await this.#identify(ask, access);
    if (identity === null) return null;
    const given = narrowed(asked, (repo, action) => access.reaches(identity, repo, action));
    if (identity.method === 'none' && !given.some(({ type }) => type === 'repository')) {
      if (this.#hasUpstream) return null;
      throw this.#unauthorized('sign in first');
    }
    const issued = await own.issue(identity, given);
    this.#auditIssue(ask, identity, given);
    return issuedAnswer(issued, ask.form === null ? null : given);
  }

  #auditIssue({ request }: TokenAsk, { username }: Identity, given: readonly AccessEntry[]): void {
    const object = given.map(scopeText).join(' ').slice(0, SHOWN_SCOPES_CHARS);
    const subject = username === '' ? 'anonymous' : username;
    const clientIP = request.clientAddress;
    this.#parts.audit({ action: 'token', subject, object, outcome: 'allowed', clientIP });
  }

  /** Who may have a token; `null` where another token server may know them. */
  async #identify(ask: TokenAsk, access: Judge): Promise<Identity | null> {
    const found = await access.identify(withFormCredentials(ask));
    if (!isRefused(found)) {
      if (mayHaveTokens(found)) return found;
      throw this.#unauthorized('sign in with a password or a key');
    }
    return this.#hasUpstream ? null : this.#refuse(found);
  }

  get #hasUpstream(): boolean {
    return this.#parts.config.http.auth.bearer?.upstreamTokenEndpoint !== undefined;
  }

  /** Whether credentials are good here: they are never shown to another server. */
  async #isOwnUser(ask: TokenAsk, access: Judge): Promise<boolean> {
    const request = withFormCredentials(ask);
    const basic = basicOf(request);
    if (basic === null) return request.authorization.length > 0;
    if (isApiKey(basic.password)) return true;
    const { htpasswd, ldap } = this.#parts.config.http.auth;
    if (htpasswd === undefined && ldap === undefined) return false;
    return !isRefused(await access.identify(request));
  }

  #refuse({ retryAfterSeconds, reason }: Refused): never {
    if (retryAfterSeconds === undefined) throw this.#unauthorized(reason);
    throw new RegistryError('TOOMANYREQUESTS', {
      retryAfterSeconds,
      message: 'too many failed sign-ins, try again later',
    });
  }

  /** The challenge is Basic, or clients would come here for a token to come here with. */
  #unauthorized(cause: string): RegistryError {
    const { realm } = this.#parts.config.http.auth.bearer ?? {};
    const challenge = `Basic realm=${quoted(realm === undefined || realm === '' ? 'zot' : realm)}`;
    return new RegistryError('UNAUTHORIZED', {
      headers: { ...NO_STORE, 'www-authenticate': [challenge] },
      cause,
    });
  }
}

function isRefused(found: Identity | Refused): found is Refused {
  return 'refused' in found;
}

/** A token gives no token, or it would never end; an identity token is exchanged above. */
function mayHaveTokens({ method, scopeOnly }: Identity): boolean {
  return method !== 'token' && method !== 'bearer' && method !== 'oidc' && !scopeOnly;
}

function basicOf({ authorization }: Pick<AccessRequest, 'authorization'>): BasicCredentials | null {
  const [header] = authorization;
  const found = header === undefined ? null : basicCredentials(header);
  return found === null || 'refused' in found ? null : found;
}

/** Everything that is offered and may be an identity token, once each. */
function offeredJwts(basic: BasicCredentials | null, form: URLSearchParams | null): readonly string[] {
  const texts = [basic?.password ?? '', ...FIELDS.map((name) => form?.get(name) ?? '')];
  return [...new Set(texts.map((text) => text.trim()))].filter(isCompactJws);
}

/** An identity token that a browser sign-in brought: of a provider and for our client id there. */
function isOfBrowserSignIn({ http }: Config, token: string): boolean {
  try {
    const claims = unverifiedClaims(token);
    return Object.values(http.auth.openid?.providers ?? {}).some(
      ({ issuer, clientid }) =>
        issuer !== '' && claims.iss === issuer && audiencesOf(claims).includes(clientid),
    );
  } catch (error) {
    if (error instanceof TokenError) return false;
    throw error;
  }
}

/** Those of the form win over those of the address: a form is what clients send that know OAuth2. */
function parametersOf({ request, form }: TokenAsk): URLSearchParams {
  if (form !== null) return form;
  const question = request.url.indexOf('?');
  return new URLSearchParams(question === -1 ? '' : request.url.slice(question));
}

/** The password grant of a form (RFC 6749 section 4.3) is tried like a Basic header. */
function withFormCredentials({ request, form }: TokenAsk): AccessRequest {
  const username = form?.get('username') ?? '';
  const password = form?.get('password') ?? '';
  if (form === null || form.get('grant_type') !== 'password' || request.authorization.length > 0)
    return request;
  const { method, url, peerAddress, clientAddress, forwardedFor, tlsVersion, peerCertificate, userAgent } =
    request;
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const facts = {
    method,
    url,
    peerAddress,
    clientAddress,
    forwardedFor,
    tlsVersion,
    peerCertificate,
    userAgent,
  };
  return { ...facts, headers: { ...request.headers, authorization }, authorization: [authorization] };
}

function issuedAnswer(issued: IssuedToken, given: readonly AccessEntry[] | null): TokenAnswer {
  const { token, expiresInSeconds, issuedAt } = issued;
  return jsonAnswer({
    token,
    access_token: token,
    expires_in: expiresInSeconds,
    issued_at: rfc3339(issuedAt),
    // Forms are OAuth2, whose answers say what was given (RFC 6749 section 5.1).
    ...(given === null ? {} : { scope: given.map(scopeText).join(' ') }),
  });
}

function tokenAnswer(
  token: string,
  claims: Readonly<Record<string, unknown>>,
  expiryMs: number | null,
): TokenAnswer {
  const leftSeconds = expiryMs === null ? 0 : Math.max(0, Math.floor((expiryMs - Date.now()) / 1000));
  const { iat } = claims;
  const issuedAt = typeof iat === 'number' ? rfc3339(new Date(iat * 1000)) : '';
  return jsonAnswer({ token, access_token: token, expires_in: leftSeconds, issued_at: issuedAt });
}

function scopeText({ type, name, actions }: AccessEntry): string {
  return `${type}:${name}:${actions.join(',')}`;
}

function rfc3339(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z');
}

function jsonAnswer(value: unknown): TokenAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(value)),
  };
}
