import { AttemptLedger } from '#lib/attempt-ledger';
import type { AttemptDesk } from '#lib/attempt-ledger';
import { TokenBuckets } from '#lib/token-buckets';
import type { RateDesk } from '#lib/token-buckets';
import type { Accounts } from '#metadata';

/** What the keeper knows of users, failed sign-ins and rates: counted for all serving processes together. */
export type UserDesk = Accounts & AttemptDesk & RateDesk;

const METHODS: Readonly<Record<keyof UserDesk, true>> = {
  findApiKey: true,
  listApiKeys: true,
  findSession: true,
  groupsOf: true,
  findSharedKey: true,
  addApiKey: true,
  removeApiKey: true,
  touchApiKeys: true,
  addSession: true,
  extendSession: true,
  removeSession: true,
  setGroups: true,
  keepSharedKey: true,
  removeSharedKeys: true,
  removeExpired: true,
  admitAttempt: true,
  settleAttempt: true,
  takeTokens: true,
};

/** Every method of the desk, for the channel between processes. */
export const USER_METHODS = Object.keys(METHODS) as readonly (keyof UserDesk)[];

/** A desk that hands every call on to `call`. */
export function forwardingUserDesk(
  call: (method: keyof UserDesk, args: readonly unknown[]) => Promise<unknown>,
): UserDesk {
  const methods = USER_METHODS.map((name) => [name, (...args: readonly unknown[]) => call(name, args)]);
  return Object.fromEntries(methods);
}

/** The desk in the keeper's own process. */
export function localUserDesk(accounts: Accounts): UserDesk {
  const attempts = new AttemptLedger();
  const rates = new TokenBuckets();
  const owners: Partial<Record<keyof UserDesk, AttemptDesk | RateDesk>> = {
    admitAttempt: attempts,
    settleAttempt: attempts,
    takeTokens: rates,
  };
  return forwardingUserDesk((method, args) => {
    const owner = owners[method] ?? accounts;
    // The types of the desk tie each name to its arguments.
    const own = Reflect.get(owner, method) as (...given: readonly unknown[]) => Promise<unknown>;
    return own.apply(owner, [...args]);
  });
}
