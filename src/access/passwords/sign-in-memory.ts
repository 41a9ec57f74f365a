import { WeightedLru } from '#lib/weighted-lru';
import { CredentialCache } from '../credential-cache.ts';
import type { PasswordProof, PasswordSource } from './password-source.ts';

/** Somebody whose password was right. */
export interface VerifiedUser extends PasswordProof {
  readonly username: string;
  readonly method: PasswordSource['method'];
  readonly sourceId: string;
}

/** What was wrong, and what was seen of the user's stored passwords then. */
export interface WrongCredential {
  readonly stamp: string;
  readonly untilMs: number;
}

const WRONG_MAX = 10_000;
const HEADERS_MAX = 10_000;
const TOLD_MAX = 10_000;

/**
 * What was verified a short while ago, for one process. It outlives the opening of a configuration: a changed policy
 * must not make every client's password be hashed again at once. Each entry says by which source, and by which stored
 * password, it was verified, and counts only while that is so.
 */
export class SignInMemory {
  readonly right: CredentialCache<VerifiedUser>;
  /** Which right credentials stood in a header, both by their tags: reading a header takes as long as the rest. */
  readonly headers = new WeightedLru<string, string>(HEADERS_MAX);
  readonly wrong = new WeightedLru<string, WrongCredential>(WRONG_MAX);

  /** Sign-ins by what comes with every request that the audit log has, and until when they are not told again. */
  readonly told = new WeightedLru<string, number>(TOLD_MAX);

  /** Milliseconds that only grow. */
  readonly now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
    this.right = new CredentialCache(now);
  }
}
