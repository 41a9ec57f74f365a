import type { Accounts, AccountsReader, AccountsWriter } from './contract.ts';

/** Look-ups from one place, changes through another: a serving process reads the file that the keeper writes. */
export function joinAccounts(reader: AccountsReader, writer: AccountsWriter): Accounts {
  return {
    findApiKey: (hash) => reader.findApiKey(hash),
    listApiKeys: (owner) => reader.listApiKeys(owner),
    findSession: (idHash) => reader.findSession(idHash),
    groupsOf: (origin, username) => reader.groupsOf(origin, username),
    findSharedKey: (name) => reader.findSharedKey(name),
    addApiKey: (key) => writer.addApiKey(key),
    removeApiKey: (owner, uuid) => writer.removeApiKey(owner, uuid),
    touchApiKeys: (uses) => writer.touchApiKeys(uses),
    addSession: (session) => writer.addSession(session),
    extendSession: (idHash, expiresMs) => writer.extendSession(idHash, expiresMs),
    removeSession: (idHash) => writer.removeSession(idHash),
    setGroups: (origin, username, groups) => writer.setGroups(origin, username, groups),
    keepSharedKey: (name, key) => writer.keepSharedKey(name, key),
    removeSharedKeys: (from, before) => writer.removeSharedKeys(from, before),
    removeExpired: (nowMs) => writer.removeExpired(nowMs),
  };
}
