/** Who is asking, and may they: the one public face of src/access. */
import type { Config } from '#config';
import { StartError } from '#lib/start-error';
import { AUTHENTICATORS } from './authenticators.ts';
import { ComposedAccess, OPEN_ACCESS } from './composed-access.ts';
import type { Access, AccessParts } from './contract.ts';
import { METHODS } from './methods.ts';
import { openOpenid } from './openid/open-openid.ts';
import { openPolicy } from './policy/open-policy.ts';
import type { PlacedAuthenticator } from './identification.ts';
import { SignInMemory } from './passwords/sign-in-memory.ts';
import { openSharedMethods } from './shared-methods.ts';
import type { SharedMethods } from './shared-methods.ts';
import { tellingSignIns } from './told-sign-ins.ts';
import { TokenEndpoint } from './token/token-endpoint.ts';

export { ANONYMOUS } from './contract.ts';
export { isRefused } from './identification.ts';
export { explainAccess } from './policy/explain-access.ts';
export type { AccessExplanation, AccessQuery } from './policy/explain-access.ts';
export type { Explanation } from './policy/explanation.ts';
export { joinAccounts } from './joined-accounts.ts';
export { SignInMemory } from './passwords/sign-in-memory.ts';
export type {
  Access,
  AccessParts,
  AccessRequest,
  Accounts,
  AccountsReader,
  AccountsWriter,
  Action,
  ApiKeyDesk,
  ApiKeyRecord,
  AuditEvent,
  AuthMethod,
  Authenticator,
  Decision,
  Identity,
  OpenidDesk,
  Question,
  Refused,
  Scope,
  SessionDesk,
  SessionRecord,
  SignedIn,
  TokenAnswer,
  TokenDesk,
  Wanted,
} from './contract.ts';

/**
 * Opens every way to sign in that the configuration asks for, and its policies. Throws `StartError` when one cannot
 * be opened: a registry whose access is not what its owner wrote does not start. `memory` is what was verified shortly
 * before, under an earlier configuration.
 */
export async function openAccess(
  config: Config,
  parts: AccessParts,
  memory: SignInMemory = new SignInMemory(),
): Promise<Access> {
  const configured = METHODS.filter((method) => method.isConfigured(config));
  const policy = await openPolicy(config, parts.logger);
  if (configured.length === 0 && policy === null) return OPEN_ACCESS;
  const shared = await openSharedMethods(config, parts, memory);
  const opened: PlacedAuthenticator[] = [];
  try {
    for (const { method, place, key } of configured) {
      const open = AUTHENTICATORS[method];
      if (open === undefined) throw new StartError(`${key}: this build has no way to sign in by ${method}`);
      const authenticator = await open(config, { ...parts, shared });
      opened.push({ place, authenticator: tellingSignIns(authenticator, parts.audit, memory) });
    }
    return new ComposedAccess({
      authenticators: opened,
      policy,
      realm: config.http.realm,
      sessions: configured.some(({ method }) => method === 'session') ? shared.sessions : null,
      apiKeys: configured.some(({ method }) => method === 'apikey') ? shared.apiKeys : null,
      tokens: tokenEndpoint(config, parts, shared),
      openid: await openOpenid(config, parts, shared.openidStateKey),
      closeShared: () => shared.close(),
    });
  } catch (error) {
    await Promise.allSettled([shared.close(), ...opened.map(({ authenticator }) => authenticator.close())]);
    throw error;
  }
}

function tokenEndpoint(
  config: Config,
  { audit }: AccessParts,
  { oidc, ownTokens: own }: SharedMethods,
): TokenEndpoint | null {
  return oidc === null && own === null ? null : new TokenEndpoint({ config, oidc, own, audit });
}
