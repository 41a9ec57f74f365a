/**
 * The users of an LDAP directory. A sign-in is a search by the service account and a bind as the user that was
 * found, each on connections of their own, several at once. Nothing is remembered of passwords here.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { RegistryError } from '#oci/errors';
import type { Logger } from '#lib/logger';
import { WeightedLru } from '#lib/weighted-lru';
import type { PasswordAttempt, PasswordProof, PasswordSource } from '../passwords/password-source.ts';
import type { Standing, Voucher } from '../users/origins.ts';
import { ConnectionPool, PoolExhausted } from './connection-pool.ts';
import { groupNames } from './group-names.ts';
import { LdapConnection, mayPass } from './ldap-connection.ts';
import type { LdapCredentials, LdapEntry } from './ldap-connection.ts';
import type { LdapEndpoint } from './ldap-socket.ts';
import type { userFilterMaker } from './user-filter.ts';

export interface DirectoryOptions {
  /** Changes with the configuration of the directory. */
  readonly id: string;
  /** Asked for each connection, since authorities may be replaced. */
  readonly endpoint: () => LdapEndpoint;
  /** `null`: searches are made by nobody. */
  readonly service: LdapCredentials | null;
  readonly base: string;
  readonly scope: 'sub' | 'one';
  readonly filterOf: ReturnType<typeof userFilterMaker>;
  /** '' when groups are not asked for. */
  readonly groupAttribute: string;
  readonly logger: Logger;
  readonly onClose: () => void;
}

interface KnownStanding {
  readonly standing: Standing | null;
  readonly atMs: number;
}

const CONNECTIONS_MAX = 8;
const TRIES = 3;
const RETRY_MS = 200;
/** Whoever has waited this long is not kept waiting for another try. */
const RETRIES_END_MS = 5000;
/** Whether a user still stands, and in which groups, is looked up this often at most. */
const STANDING_MS = 60_000;
/** While the directory is out of reach, what it said last counts for this long. */
const STANDING_WITHOUT_DIRECTORY_MS = 3_600_000;
const STANDINGS_MAX = 10_000;

export class LdapDirectory implements PasswordSource, Voucher {
  readonly method = 'ldap';
  readonly id: string;
  #options: DirectoryOptions;
  #searching: ConnectionPool;
  #binding: ConnectionPool;
  #standings = new WeightedLru<string, KnownStanding>(STANDINGS_MAX);

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.id = options.id;
    const sizeMax = CONNECTIONS_MAX;
    this.#searching = new ConnectionPool({ sizeMax, open: () => this.#openForSearching() });
    this.#binding = new ConnectionPool({ sizeMax, open: () => LdapConnection.open(options.endpoint()) });
  }

  /** `null` when user or password is wrong, or more than one entry fits. Throws `UNAVAILABLE`. */
  async verify({ username, password }: PasswordAttempt): Promise<PasswordProof | null> {
    if (username === '' || password === '') return null;
    const entry = await this.#find(username);
    // Nobody's bind takes about as long as that of a user whose password is wrong.
    const credentials = entry === null ? this.#nobody() : { dn: entry.dn, password };
    const fits = await this.#asking(() => this.#binding.use((connection) => connection.bind(credentials)));
    if (!fits || entry === null) return null;
    const groups = this.#groupsOf(entry);
    this.#standings.set(username, { standing: { groups }, atMs: performance.now() });
    return { groups, proof: null };
  }

  /** What was verified counts until it is forgotten: a directory tells nobody of its changes. */
  holds(): boolean {
    return true;
  }

  stampOf(): null {
    return null;
  }

  async standing(username: string): Promise<Standing | null> {
    const known = this.#standings.get(username);
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : performance.now() - known.atMs;
    if (known !== undefined && ageMs < STANDING_MS) return known.standing;
    try {
      const entry = await this.#find(username);
      const standing = entry === null ? null : { groups: this.#groupsOf(entry) };
      this.#standings.set(username, { standing, atMs: performance.now() });
      return standing;
    } catch (error) {
      if (known === undefined || ageMs > STANDING_WITHOUT_DIRECTORY_MS) throw error;
      return known.standing;
    }
  }

  /** The only entry of a user. */
  async #find(username: string): Promise<LdapEntry | null> {
    const { base, scope, filterOf, groupAttribute, logger } = this.#options;
    const search = {
      base,
      scope,
      filter: filterOf(username),
      // '1.1' asks for no attribute at all (RFC 4511 section 4.5.1.8).
      attributes: [groupAttribute === '' ? '1.1' : groupAttribute],
      entriesMax: 2,
    };
    const entries = await this.#asking(() => this.#searching.use((connection) => connection.search(search)));
    if (entries.length > 1)
      logger.warn({ component: 'ldap', user: username }, 'more than one entry fits, so none does');
    const [entry] = entries;
    return entries.length === 1 && entry !== undefined && entry.dn !== '' ? entry : null;
  }

  /** Of the configured attribute only, whatever else the directory sends. */
  #groupsOf({ attributes }: LdapEntry): readonly string[] {
    const wanted = this.#options.groupAttribute.toLowerCase();
    if (wanted === '') return [];
    const values = [...attributes]
      .filter(([name]) => name.toLowerCase() === wanted)
      .flatMap(([, list]) => list);
    return groupNames(values);
  }

  #nobody(): LdapCredentials {
    return {
      dn: `cn=${randomBytes(8).toString('hex')},${this.#options.base}`,
      password: randomBytes(8).toString('hex'),
    };
  }

  async #openForSearching(): Promise<LdapConnection> {
    const connection = await LdapConnection.open(this.#options.endpoint());
    const { service } = this.#options;
    if (service === null) return connection;
    try {
      if (await connection.bind(service)) return connection;
      throw new Error('the directory refuses the service account (http.auth.ldap.credentialsFile)');
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Asks again a few times, soon; then gives up, since somebody waits. */
  async #asking<Result>(ask: () => Promise<Result>): Promise<Result> {
    const startMs = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        const isInTime = performance.now() - startMs < RETRIES_END_MS;
        if (attempt < TRIES && isInTime && mayPass(error) && !(error instanceof PoolExhausted)) {
          // Spread, so that many who wait do not all come back at once.
          await delay((RETRY_MS * attempt * randomInt(50, 150)) / 100);
          continue;
        }
        this.#options.logger.error({ component: 'ldap', error }, 'the directory cannot be asked');
        const message = 'the directory of users cannot be asked at the moment';
        throw new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 5, cause: error });
      }
    }
  }

  async close(): Promise<void> {
    this.#searching.close();
    this.#binding.close();
    this.#options.onClose();
  }
}
