/** Identity tokens of OIDC issuers (workload identity): which entry of the configuration accepts one, and as whom. */
import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import { WatchedFile } from '#lib/watched-file';
import type { Accounts } from '../contract.ts';
import {
  TokenError,
  audiencesOf,
  checkTimes,
  expiryMsOf,
  headerOf,
  unverifiedClaims,
  verifySignature,
} from '../bearer/signed-token.ts';
import type { Claims } from '../bearer/signed-token.ts';
import { VerifiedTokens } from '../bearer/verified-tokens.ts';
import { compileMapping } from './claim-mapping.ts';
import type { ClaimMapping, MappedUser } from './claim-mapping.ts';
import { OidcIssuer } from './oidc-issuer.ts';

type OidcEntryConfig = NonNullable<Config['http']['auth']['bearer']>['oidc'][number];

/** Whom an identity token is of. */
export interface WorkloadUser extends MappedUser {
  readonly claims: Claims;
  /** Milliseconds since the epoch; `null`: the token does not expire. */
  readonly expiryMs: number | null;
}

interface Entry {
  readonly config: OidcEntryConfig;
  readonly issuer: OidcIssuer;
  readonly mapping: ClaimMapping;
  close(): void;
}

const PEM_BYTES_MAX = 1024 * 1024;
const ORIGIN = 'oidc';

export class OidcTokens {
  #entries: readonly Entry[];
  #accounts: Accounts;
  #verified = new VerifiedTokens<WorkloadUser>();
  #now: () => number;

  /** Throws `StartError` for expressions and files that cannot be used; issuers are asked when tokens come. */
  constructor(
    entries: readonly OidcEntryConfig[],
    parts: { accounts: Accounts; logger: Logger; now?: () => number },
  ) {
    this.#accounts = parts.accounts;
    this.#now = parts.now ?? Date.now;
    const opened: Entry[] = [];
    this.#entries = opened;
    try {
      for (const [index, entry] of entries.entries()) opened.push(openEntry(entry, index, parts.logger));
    } catch (error) {
      for (const entry of opened) entry.close();
      throw error;
    }
  }

  /** Whether a token says that it is of an issuer and for an audience of the configuration; nothing is verified. */
  owns(token: string): boolean {
    try {
      const claims = unverifiedClaims(token);
      return this.#entries.some(({ config }) => concerns(config, claims));
    } catch (error) {
      if (error instanceof TokenError) return false;
      throw error;
    }
  }

  /** The user of a token, by the first entry that accepts it. Throws `TokenError` with the reason of the last. */
  async verify(token: string): Promise<WorkloadUser> {
    const nowMs = this.#now();
    const generation = this.#entries.reduce((sum, { issuer }) => sum + issuer.generation, 0);
    const known = this.#verified.find(token, generation, nowMs);
    if (known !== null) return known;
    const claims = unverifiedClaims(token);
    let refusal = new TokenError('the token is of no issuer or audience of the configuration');
    for (const entry of this.#entries.filter(({ config }) => concerns(config, claims))) {
      try {
        return await this.#verifyBy(entry, token, nowMs);
      } catch (error) {
        if (!(error instanceof TokenError)) throw error;
        refusal = error;
      }
    }
    throw refusal;
  }

  async #verifyBy(entry: Entry, token: string, nowMs: number): Promise<WorkloadUser> {
    const claims = await verifySignature(token, await entry.issuer.keysFor(headerOf(token)));
    if (!concerns(entry.config, claims)) throw new TokenError('the token is of another issuer or audience');
    checkTimes(claims, nowMs);
    if (claims.exp === undefined) throw new TokenError('the token lacks exp');
    const user = { ...entry.mapping(claims), claims, expiryMs: expiryMsOf(claims) };
    await this.#keepGroups(user);
    const generation = this.#entries.reduce((sum, { issuer }) => sum + issuer.generation, 0);
    this.#verified.remember(token, user, { generation, nowMs, expiryMs: user.expiryMs });
    return user;
  }

  /** API keys of the user have the groups of the last token; written when they change only. */
  async #keepGroups({ username, groups }: MappedUser): Promise<void> {
    const kept = await this.#accounts.groupsOf(ORIGIN, username);
    const isSame = kept.length === groups.length && kept.every((name, index) => name === groups[index]);
    if (!isSame) await this.#accounts.setGroups(ORIGIN, username, groups);
  }

  close(): void {
    for (const entry of this.#entries) entry.close();
  }
}

function concerns({ issuer, audiences, skipIssuerVerification }: OidcEntryConfig, claims: Claims): boolean {
  if (!skipIssuerVerification && claims.iss !== issuer) return false;
  return audiencesOf(claims).some((audience) => audiences.includes(audience));
}

function openEntry(config: OidcEntryConfig, index: number, logger: Logger): Entry {
  const place = `http.auth.bearer.oidc[${index}]`;
  const { issuer, certificateAuthorityFile: path, certificateAuthority, skipIssuerVerification } = config;
  const mapping = attempt(`${place}.claimMapping`, () => compileMapping(config.claimMapping));
  if (!URL.canParse(issuer)) throw new StartError(`${place}.issuer: ${issuer} is not an address`);
  const file =
    path === '' ? null : attempt(`${place}.certificateAuthorityFile`, () => watchAuthorities(path, logger));
  const authorities = (): string | null =>
    file?.content ?? (certificateAuthority === '' ? null : certificateAuthority);
  const source = new OidcIssuer({ issuer, skipIssuerVerification, authorities, logger });
  return {
    config,
    issuer: source,
    mapping,
    close: () => {
      source.close();
      file?.close();
    },
  };
}

function watchAuthorities(path: string, logger: Logger): WatchedFile<string> {
  return new WatchedFile({
    path,
    sizeBytesMax: PEM_BYTES_MAX,
    parse: (text) => text,
    onProblem: (problem) =>
      logger.error({ component: 'oidc', path, problem }, 'the changed authorities cannot be used'),
  });
}

function attempt<Value>(place: string, make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    throw new StartError(`${place}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
