import type { Accounts, AccountsReader, AccountsWriter } from './contract.ts';

/** Look-ups from one place, changes through another: a serving process reads the file that the keeper writes. */
export function joinAccounts(reader: AccountsReader, writer: AccountsWriter): Accounts {
  return {
    findApiKey: (hash) => reader.findApiKey(hash),
    listApiKeys: (owner) => reader.listApiKeys(owner),
    findSession: (idHash) => reader.findSession(idHash),
    groupsOf: (username) => reader.groupsOf(username),
    findSharedKey: (name) => reader.findSharedKey(name),
    addApiKey: (key) => writer.addApiKey(key),
    removeApiKey: (owner, uuid) => writer.removeApiKey(owner, uuid),
    touchApiKeys: (uses) => writer.touchApiKeys(uses),
    putSession: (session) => writer.putSession(session),
    removeSession: (idHash) => writer.removeSession(idHash),
    setGroups: (username, groups) => writer.setGroups(username, groups),
    keepSharedKey: (name, key) => writer.keepSharedKey(name, key),
    removeExpired: (nowMs) => writer.removeExpired(nowMs),
  };
}
