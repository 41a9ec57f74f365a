/**
 * Signing in with a name and a password, whatever knows them: the password file, a directory, or both in turn.
 *
 * The order: what is remembered, right or wrong -> the same credentials under way -> may they be tried
 * (`#lib/attempt-ledger`) -> each source -> counted, remembered. Right credentials are verified again before they
 * are forgotten, beside the
 * requests that use them.
 */
import type { AttemptDesk, AttemptOutcome } from '#lib/attempt-ledger';
import { addressGroup } from '#lib/address-group';
import type { Logger } from '#lib/logger';
import { basicCredentials } from '../basic-credentials.ts';
import type { BasicCredentials } from '../basic-credentials.ts';
import type { AccessRequest, AuditEvent, Refused } from '../contract.ts';
import { credentialTag } from '../credential-cache.ts';
import type { Remembered } from '../credential-cache.ts';
import { HashingBusy } from './password-hashing.ts';
import type { PasswordSource } from './password-source.ts';
import type { SignInMemory, VerifiedUser } from './sign-in-memory.ts';
import { WrongCredentials } from './wrong-credentials.ts';
import type { Stamp } from './wrong-credentials.ts';

export interface PasswordSignInParts {
  /** Asked in turn until one says yes. */
  readonly sources: readonly PasswordSource[];
  readonly attempts: AttemptDesk;
  /** The key of the ledger's hashes, the same in every process. */
  readonly attemptKey: Buffer;
  readonly logger: Logger;
  readonly audit: (event: AuditEvent) => void;
  /** What was verified before, also for another opening of the same sources. */
  readonly memory: SignInMemory;
  /** Passwords of this form are for somebody else. */
  readonly isForeign: (password: string) => boolean;
}

type Verdict = VerifiedUser | Refused;

export class PasswordSignIn {
  #parts: PasswordSignInParts;
  #wrongs: WrongCredentials;
  #underWay = new Map<string, Promise<Verdict>>();

  constructor(parts: PasswordSignInParts) {
    this.#parts = parts;
    this.#wrongs = new WrongCredentials(parts.sources, parts.memory);
  }

  /** The source that is asked first. */
  get firstMethod(): PasswordSource['method'] | null {
    return this.#parts.sources[0]?.method ?? null;
  }

  /** `null` when the request offers no password. Throws when it cannot be found out. */
  async verify(request: Pick<AccessRequest, 'authorization' | 'clientAddress'>): Promise<Verdict | null> {
    const [header] = request.authorization;
    if (header === undefined) return null;
    const { right, headers } = this.#parts.memory;
    const headerTag = right.tagOfHeader(header);
    const seen = this.#remembered(headers.get(headerTag));
    if (seen?.isAging === false) return seen.value;
    const credentials = basicCredentials(header);
    if (credentials === null || 'refused' in credentials) return credentials;
    if (this.#parts.isForeign(credentials.password)) return null;
    const tag = right.tag(credentials);
    const found = this.#remembered(tag);
    if (found !== null) {
      headers.set(headerTag, tag);
      if (found.isAging) this.#refresh(tag, credentials, request.clientAddress);
      return found.value;
    }
    if (this.#wrongs.has(tag, credentials.username)) return wrong(credentials.username);
    return this.#verifyOnce(tag, credentials, request.clientAddress);
  }

  #remembered(tag: string | undefined): Remembered<VerifiedUser> | null {
    const found = tag === undefined ? null : this.#parts.memory.right.find(tag);
    return found !== null && this.#holds(found.value) ? found : null;
  }

  /** Whether what was verified still holds here and now. */
  #holds({ username, sourceId, proof }: VerifiedUser): boolean {
    const source = this.#parts.sources.find(({ id }) => id === sourceId);
    return source !== undefined && source.holds(username, proof);
  }

  /** What many requests ask at the same time is worked out once. */
  #verifyOnce(tag: string, credentials: BasicCredentials, address: string): Promise<Verdict> {
    let verdict = this.#underWay.get(tag);
    if (verdict === undefined) {
      verdict = this.#verify(tag, credentials, address).finally(() => this.#underWay.delete(tag));
      this.#underWay.set(tag, verdict);
    }
    return verdict;
  }

  #refresh(tag: string, credentials: BasicCredentials, address: string): void {
    this.#verifyOnce(tag, credentials, address).catch((error: unknown) => {
      this.#parts.logger.debug(
        { component: 'access', error },
        'a remembered sign-in could not be verified again',
      );
    });
  }

  async #verify(tag: string, credentials: BasicCredentials, clientAddress: string): Promise<Verdict> {
    const { username } = credentials;
    const address = addressGroup(clientAddress);
    const attempt = {
      // Directories take a name in any case: its variants are one name here.
      subject: username.normalize('NFKC').trim().toLowerCase(),
      address,
      credential: credentialTag(this.#parts.attemptKey, credentials),
    };
    const { attempts } = this.#parts;
    const admission = await attempts.admitAttempt(attempt);
    if (!admission.admitted) return this.#throttled(username, admission.retryAfterMs);
    let outcome: AttemptOutcome = 'undecided';
    // Taken before: what changes while the password is verified has not been looked at.
    const stamp = this.#wrongs.stampOf(username);
    try {
      const verified = await this.#askSources({ ...credentials, source: address, known: admission.known });
      outcome = verified === null ? 'wrong' : 'right';
      if (verified === null) return this.#wrong(tag, username, stamp);
      return this.#right(tag, verified, clientAddress);
    } catch (error) {
      if (error instanceof HashingBusy) return this.#throttled(username, error.retryAfterMs);
      throw error;
    } finally {
      await attempts.settleAttempt(attempt, outcome);
    }
  }

  async #askSources(attempt: Parameters<PasswordSource['verify']>[0]): Promise<VerifiedUser | null> {
    for (const source of this.#parts.sources) {
      const proof = await source.verify(attempt);
      if (proof === null) continue;
      return { ...proof, username: attempt.username, method: source.method, sourceId: source.id };
    }
    return null;
  }

  #right(tag: string, verified: VerifiedUser, clientIP: string): VerifiedUser {
    const { memory, audit } = this.#parts;
    const isNew = memory.right.find(tag) === null;
    memory.right.remember(tag, verified);
    const { username: subject, method: object } = verified;
    if (isNew) audit({ action: 'sign-in', subject, object, outcome: 'allowed', clientIP });
    return verified;
  }

  #wrong(tag: string, username: string, stamp: Stamp): Refused {
    this.#parts.memory.right.forget(tag);
    this.#wrongs.remember(tag, stamp);
    return wrong(username);
  }

  #throttled(username: string, retryAfterMs: number): Refused {
    const retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
    return { refused: true, reason: 'too many failed sign-ins', username, retryAfterSeconds };
  }
}

function wrong(username: string): Refused {
  return { refused: true, reason: 'wrong user or password', username };
}
