/**
 * What the parts of the access module agree on. `http` hands in plain facts of a request and gets an identity and a
 * decision; the ways to sign in are `Authenticator`s, tried in order; what exists nowhere else is in `Accounts`.
 */
import type { Accounts, ApiKeyRecord } from '#metadata';
export type { Accounts, AccountsReader, AccountsWriter, ApiKeyRecord, SessionRecord } from '#metadata';
import type { AttemptDesk } from '#lib/attempt-ledger';
import type { Logger } from '#lib/logger';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

/** The actions of zot's access control. */
export type Action = 'read' | 'create' | 'update' | 'delete';

export type AuthMethod =
  | 'none'
  | 'htpasswd'
  | 'ldap'
  | 'apikey'
  | 'session'
  | 'mtls'
  /** A token of an outside token server, judged by its own scope. */
  | 'bearer'
  /** A token of an OIDC issuer (workload identity), judged by the policies. */
  | 'oidc'
  /** A token of our own token endpoint: the rights of its user, narrowed by its scope. */
  | 'token';

/** The facts of a request that access depends on. */
export interface AccessRequest {
  readonly method: string;
  /** Path and query exactly as the client sent them. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Every Authorization header; more than one is refused. */
  readonly authorization: readonly string[];
  /** Address of the TCP peer, without port. */
  readonly peerAddress: string;
  /** The peer, or the client that a trusted proxy names. */
  readonly clientAddress: string;
  /** X-Forwarded-For entries, left to right, believed or not. */
  readonly forwardedFor: readonly string[];
  /** `1.2`, `1.3`; `null` for plain HTTP. */
  readonly tlsVersion: string | null;
  /** The client certificate that the handshake verified, DER; `null` without one. */
  readonly peerCertificate: Buffer | null;
  readonly userAgent: string;
}

/** Narrows what an identity may do: the scope of a token or of an API key. */
export interface Scope {
  permits(repo: RepoName, action: Action): boolean;
  /** Whether lists may show the repository. */
  sees(repo: RepoName): boolean;
}

export interface Identity {
  /** '' for nobody. */
  readonly username: string;
  readonly groups: readonly string[];
  readonly method: AuthMethod;
  /** Claims of an OIDC token, for conditions of policies. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly scope: Scope | null;
  /** The scope alone decides, the policies are not asked (tokens of an outside token server). */
  readonly scopeOnly: boolean;
  /** Who vouches for the user, where the method does not say it: `ldap` behind a session. See `users/origins.ts`. */
  readonly origin?: string;
  /** Digest of the stored password that was right: a token ends when that changes. */
  readonly proof?: string | null;
  /** Hash of the API key that was shown: a token ends with it. */
  readonly apiKeyHash?: string;
  /** Headers of the answer, such as the cookies of a session that this sign-in began. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export const ANONYMOUS: Identity = {
  username: '',
  groups: [],
  method: 'none',
  claims: null,
  scope: null,
  scopeOnly: false,
};

/** Credentials that were offered and are wrong. `reason` is for the audit log, never for the client. */
export interface Refused {
  readonly refused: true;
  readonly reason: string;
  readonly username: string;
  /** Throttled: answered with 429 and Retry-After instead of 401. */
  readonly retryAfterSeconds?: number;
  /** Headers of the answer beyond the challenge, such as an expired session cookie. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The request goes on as nobody's where nobody may do it: an expired session, as opposed to a wrong password. */
  readonly asAnonymous?: true;
}

/** What a request needs, as challenges name it. */
export interface Wanted {
  readonly repo: RepoName;
  readonly action: Action;
}

/** One way to sign in. */
export interface Authenticator {
  readonly method: AuthMethod;
  /**
   * `null`: the request offers nothing of this kind. Throws only when it could not be found out (503), never to
   * refuse. Must not take longer for unknown users than for wrong passwords.
   */
  identify(request: AccessRequest): Promise<Identity | Refused | null>;
  /** The `WWW-Authenticate` value of this way; absent where it is the one of Basic, or where there is none. */
  challenge?(wanted: Wanted | null, request: AccessRequest): string | null;
  close(): Promise<void>;
}

/** What is asked for. */
export interface Question {
  readonly identity: Identity;
  readonly repo: RepoName;
  readonly action: Action;
  readonly request: AccessRequest;
  /** The reference of the path, '' where there is none; for conditions. */
  readonly reference: string;
}

export interface Decision {
  readonly allowed: boolean;
  /** The operator's message of the condition that failed, for the client. */
  readonly reason: string | null;
  /** It is the scope of the token that does not reach; another token may. */
  readonly missingScope?: true;
}

/** What `http` asks of the access module: one place of the pipeline decides. */
export interface Access {
  /** Nothing is configured: everybody may do everything, and the pipeline asks nothing. */
  readonly open: boolean;
  /** `null` where nobody can have a session. */
  readonly sessions: SessionDesk | null;
  /** `null` where API keys are off. */
  readonly apiKeys: ApiKeyDesk | null;
  /** `null` where `/zot/auth/token` has nothing to do. */
  readonly tokens: TokenDesk | null;
  /** `null` without providers. */
  readonly openid: OpenidDesk | null;
  /** Who is asking. */
  identify(request: AccessRequest): Promise<Identity | Refused>;
  /** May they. */
  decide(question: Question): Decision;
  /**
   * Whether they might do it, whatever conditions of policies say of this request: what a token may be narrowed to.
   * The policies decide again when it is used.
   */
  reaches(identity: Identity, repo: RepoName, action: Action): boolean;
  /** Whether lists show a repository to them; never more than `decide` for `read` would allow. */
  sees(identity: Identity, repo: RepoName, request: AccessRequest): boolean;
  /** Whether they may ask what names no repository (`/v2/`, lists that are filtered). */
  admits(identity: Identity, request: AccessRequest): boolean;
  /** Whether they may change what concerns all (trusted keys, tasks). Fails closed. */
  isAdmin(identity: Identity, request: AccessRequest): boolean;
  mayReadMetrics(identity: Identity): boolean;
  /** Whether deleting a manifest with several tags is to be refused for them (`detectManifestCollision`). */
  detectsCollisions(question: Omit<Question, 'action'>): boolean;
  /** The `WWW-Authenticate` values for a request that needs credentials, one each; none for scripts of the UI. */
  challenges(request: AccessRequest, wanted: Wanted | null): readonly string[];
  close(): Promise<void>;
}

/** Somebody who signed in, for a session to begin with. */
export interface SignedIn {
  readonly username: string;
  /** Who vouches for them: `htpasswd`, `ldap`, `openid:<provider>`. */
  readonly origin: string;
  /** The groups that the origin gave; kept for `openid:` origins, which cannot be asked again. */
  readonly groups: readonly string[];
  /** The OpenID provider, '' for passwords. */
  readonly provider: string;
  /** What the provider needs to end its own session. */
  readonly idToken: string | null;
  /** Digest of the stored password: the session ends when that changes. `null` where unknown. */
  readonly proof: string | null;
}

/** What was known of a session that ended. */
export interface EndedSession {
  readonly username: string;
  readonly provider: string;
  readonly idToken: string | null;
}

/** Sessions, for the handlers of signing in and out. */
export interface SessionDesk {
  /** Begins a session and gives its `Set-Cookie` values; one that the request had ends. */
  begin(user: SignedIn, request: Pick<AccessRequest, 'headers'>): Promise<readonly string[]>;
  /** Ends the session of a request; `null` when it had none. */
  end(request: Pick<AccessRequest, 'headers'>): Promise<EndedSession | null>;
  /** `Set-Cookie` values that make a browser forget. */
  expiredCookies(): readonly string[];
}

/** A request for a token, as `/zot/auth/token` gets it. */
export interface TokenAsk {
  readonly request: AccessRequest;
  /** Of a form; `null` when there is none. */
  readonly form: URLSearchParams | null;
}

/** An answer that goes to the client as it is. */
export interface TokenAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

/** Gives out tokens, exchanges them, or has them given out by another token server. */
export interface TokenDesk {
  /** Throws `UNAUTHORIZED`, `REQUEST_INVALID`, `TOOMANYREQUESTS`, or 502 when another server does not answer. */
  answer(ask: TokenAsk, access: Pick<Access, 'identify' | 'reaches'>): Promise<TokenAnswer>;
}

/** The way to a provider. */
export interface SignInStart {
  /** Where the browser goes. */
  readonly location: string;
  readonly cookies: readonly string[];
}

/** Somebody who came back from a provider. */
export interface SignInEnd {
  readonly user: SignedIn;
  /** Where the browser goes; '' nowhere. */
  readonly callbackUi: string;
  readonly cookies: readonly string[];
}

/** Signing in through OpenID Connect and OAuth2 providers. */
export interface OpenidDesk {
  /** Throws `REQUEST_INVALID` for an unknown provider, `UNAVAILABLE` when it cannot be asked. */
  begin(provider: string, callbackUi: string, request: AccessRequest): Promise<SignInStart>;
  /** Throws `UNAUTHORIZED` for whoever was not sent there from here, or did not sign in; `UNAVAILABLE`. */
  finish(provider: string, request: AccessRequest): Promise<SignInEnd>;
  /** Where a browser ends the session of a provider as well; `null` where it has no such place. */
  endSessionUrl(ended: EndedSession, request: AccessRequest): Promise<string | null>;
}

export interface ApiKeyRequest {
  readonly label: string;
  readonly scopes: readonly string[];
  readonly expiresMs: number | null;
  readonly userAgent: string;
}

/** API keys, for the handlers that make, list and revoke them. */
export interface ApiKeyDesk {
  /**
   * Makes a key for somebody who has signed in; the only time that it is shown. Throws `REQUEST_INVALID` for scopes
   * that mean nothing, and `DENIED` when the owner has as many keys as one may have.
   */
  create(
    owner: Identity,
    asked: ApiKeyRequest,
  ): Promise<{ readonly key: string; readonly record: ApiKeyRecord }>;
  list(owner: string): Promise<ApiKeyRecord[]>;
  /** Gives whether the owner had such a key. It is refused everywhere from then on. */
  revoke(owner: string, uuid: string): Promise<boolean>;
  isExpired(record: ApiKeyRecord): boolean;
}

/** Facts for the audit log, from wherever something permission relevant happened. */
export interface AuditEvent {
  readonly action: string;
  readonly subject: string;
  readonly object: string;
  readonly outcome: 'allowed' | 'refused';
  /** The address of the client, without port; '' on a Unix socket. */
  readonly clientIP: string;
  readonly reason?: string;
  readonly digest?: Digest;
}

/** What the access module is given to work with. */
export interface AccessParts {
  readonly accounts: Accounts;
  /** Counts failed sign-ins, for all processes together. */
  readonly attempts: AttemptDesk;
  readonly logger: Logger;
  /** Hears of sign-ins and refusals. */
  readonly audit: (event: AuditEvent) => void;
}
