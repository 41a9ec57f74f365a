import type { BasicCredentials } from '../basic-credentials.ts';

export interface PasswordAttempt extends BasicCredentials {
  /** The group of the client's address, whose turn it is to cause work. */
  readonly source: string;
  /** The same credentials were right before. */
  readonly known: boolean;
}

export interface PasswordProof {
  readonly groups: readonly string[];
  /** Changes with the stored password; `null` where nothing of it can be seen. */
  readonly proof: string | null;
}

/** One place that knows passwords. */
export interface PasswordSource {
  readonly method: 'htpasswd' | 'ldap';
  /** Two openings with the same id ask the same place in the same way. */
  readonly id: string;
  /** `null` when the user or the password is wrong. Throws when it cannot be found out. */
  verify(attempt: PasswordAttempt): Promise<PasswordProof | null>;
  /** Whether what was verified still holds, as far as that can be said at once. */
  holds(username: string, proof: string | null): boolean;
  /**
   * A text that changes when a password of the user that was wrong may have become right; `null` where that cannot be
   * seen.
   */
  stampOf(username: string): string | null;
  close(): Promise<void>;
}
