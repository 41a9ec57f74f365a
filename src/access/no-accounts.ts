import { RegistryError } from '#oci/errors';
import type { Accounts } from './contract.ts';

/** Stands where a process has no accounts: every look-up fails, nobody gets in by it. */
export function noAccounts(): Accounts {
  const fail = (): Promise<never> =>
    Promise.reject(new RegistryError('UNAVAILABLE', { message: 'accounts are not kept here' }));
  return {
    findApiKey: fail,
    listApiKeys: fail,
    findSession: fail,
    groupsOf: fail,
    addApiKey: fail,
    removeApiKey: fail,
    touchApiKeys: fail,
    putSession: fail,
    removeSession: fail,
    setGroups: fail,
    removeExpired: fail,
  };
}
