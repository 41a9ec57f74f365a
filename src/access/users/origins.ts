import type { Config } from '#config';
import type { Accounts } from '../contract.ts';

/** A user whom somebody still vouches for. */
export interface Standing {
  /** Groups as that somebody knows them now; those of the configuration come on top elsewhere. */
  readonly groups: readonly string[];
}

/** One who vouches for users: a password file, a directory, a provider. */
export interface Voucher {
  /**
   * Whether a user is still there; with a `proof`, whether the password is still the one that it was taken from.
   * Throws when it cannot be found out.
   */
  standing(username: string, proof: string | null): Promise<Standing | null>;
}

/**
 * Where users come from, by name: `htpasswd`, `ldap`, `mtls`, `oidc`, `openid:<provider>`. Sessions and API keys live
 * longer than a sign-in; at each use it is asked here whether their user still stands, and in which groups.
 */
export class Origins {
  #vouchers: ReadonlyMap<string, Voucher>;

  constructor(vouchers: ReadonlyMap<string, Voucher>) {
    this.#vouchers = vouchers;
  }

  async standing(origin: string, username: string, proof: string | null): Promise<Standing | null> {
    return (await this.#vouchers.get(origin)?.standing(username, proof)) ?? null;
  }
}

/** For those who cannot be asked at any time: the groups of the last sign-in count. */
export function lastSignIn(accounts: Accounts, origin: string): Voucher {
  return { standing: async (username) => ({ groups: await accounts.groupsOf(origin, username) }) };
}

/** Vouches for everybody who once proved themselves, in no group. */
export const WITHOUT_GROUPS: Voucher = { standing: () => Promise.resolve({ groups: [] }) };

/** The origins of the configuration that need nothing opened. */
export function plainVouchers(config: Config, accounts: Accounts): [string, Voucher][] {
  const { auth, tls } = config.http;
  const vouchers: [string, Voucher][] = Object.keys(auth.openid?.providers ?? {}).map((provider) => {
    const origin = `openid:${provider}`;
    return [origin, lastSignIn(accounts, origin)];
  });
  if ((auth.bearer?.oidc.length ?? 0) > 0) vouchers.push(['oidc', lastSignIn(accounts, 'oidc')]);
  if ((tls?.cacert ?? '') !== '') vouchers.push(['mtls', WITHOUT_GROUPS]);
  return vouchers;
}
