import { userInfo } from 'node:os';

/** Who runs a command, for the audit log; '' for a user that the machine has no name for. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No name is no reason to refuse.
    return '';
  }
}
