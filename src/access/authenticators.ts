import type { Config } from '#config';
import type { AttemptDesk } from '#lib/attempt-ledger';
import type { Logger } from '#lib/logger';
import type { Accounts, AuditEvent, AuthMethod, Authenticator } from './contract.ts';

/** What the ways to sign in have at hand. */
export interface AccessParts {
  readonly accounts: Accounts;
  /** Counts failed sign-ins, for all processes together. */
  readonly attempts: AttemptDesk;
  readonly logger: Logger;
  /** Hears of sign-ins and refusals. */
  readonly audit: (event: AuditEvent) => void;
}

export type OpenAuthenticator = (config: Config, parts: AccessParts) => Promise<Authenticator>;

/**
 * How each way to sign in is opened, one line each; `methods.ts` says when it is configured and in which order they
 * are asked. A configuration that asks for one that is missing here does not start.
 */
export const AUTHENTICATORS: Readonly<Partial<Record<AuthMethod, OpenAuthenticator>>> = {};
