import { Client, InvalidCredentialsError, ResultCodeError } from 'ldapts';
import type { Filter } from 'ldapts';
import type { Socket } from 'node:net';
import { openLdapSocket } from './ldap-socket.ts';
import type { LdapEndpoint } from './ldap-socket.ts';

export interface LdapCredentials {
  readonly dn: string;
  readonly password: string;
}

export interface LdapSearch {
  readonly base: string;
  readonly scope: 'sub' | 'one';
  readonly filter: Filter;
  readonly attributes: readonly string[];
  readonly entriesMax: number;
}

export interface LdapEntry {
  readonly dn: string;
  /** Values by attribute, as the directory spells it. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
}

const OPERATION_TIMEOUT_MS = 5000;
/**
 * Results of a bind that say no (RFC 4511 appendix A.2): inappropriate authentication, invalid credentials,
 * insufficient access, no such object, constraint violation (a locked account), unwilling to perform.
 */
const REFUSALS: ReadonlySet<number> = new Set([48, 49, 50, 32, 19, 53]);

/** Busy, and unavailable. */
const PASSING: ReadonlySet<number> = new Set([51, 52]);

/** Whether the same request may succeed a moment later: not after an answer that the directory has thought about. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof ResultCodeError) || PASSING.has(error.code);
}

/** One connection to a directory. It is not opened again when it ends. */
export class LdapConnection {
  #client: Client;
  #socket: Socket;

  private constructor(client: Client, socket: Socket) {
    this.#client = client;
    this.#socket = socket;
  }

  /** Throws when there is no (safe) connection. */
  static async open(endpoint: LdapEndpoint): Promise<LdapConnection> {
    const socket = await openLdapSocket(endpoint);
    let isTaken = false;
    const client = new Client({
      url: 'ldap://directory',
      timeout: OPERATION_TIMEOUT_MS,
      strictDN: false,
      createConnection: () => {
        if (isTaken || socket.destroyed) throw new Error('the connection to the directory has ended');
        isTaken = true;
        return socket;
      },
    });
    return new LdapConnection(client, socket);
  }

  /** False once it has ended, or was left in the middle of something. */
  get isUsable(): boolean {
    return this.#client.isConnected;
  }

  /** Gives whether the directory accepts the password. Throws when it cannot say. */
  async bind({ dn, password }: LdapCredentials): Promise<boolean> {
    // A name without a password would be an anonymous bind, which succeeds (RFC 4513 section 5.1.2).
    if (password === '') return false;
    try {
      await this.#client.bind(dn, password);
      return true;
    } catch (error) {
      if (error instanceof InvalidCredentialsError) return false;
      if (error instanceof ResultCodeError && REFUSALS.has(error.code)) return false;
      throw error;
    }
  }

  async search(search: LdapSearch): Promise<LdapEntry[]> {
    const { searchEntries } = await this.#client.search(search.base, {
      scope: search.scope,
      filter: search.filter,
      attributes: [...search.attributes],
      sizeLimit: search.entriesMax,
      timeLimit: Math.ceil(OPERATION_TIMEOUT_MS / 1000),
      derefAliases: 'never',
    });
    return searchEntries.map(({ dn, ...attributes }) => ({
      dn,
      attributes: new Map(Object.entries(attributes).map(([name, value]) => [name, textsOf(value)])),
    }));
  }

  close(): void {
    const end = (): void => void this.#socket.destroy();
    this.#client.unbind().then(end, end);
  }
}

function textsOf(value: Buffer | Buffer[] | string[] | string): readonly string[] {
  const values = Array.isArray(value) ? value : [value];
  // Bytes that are no text name no group.
  return values.filter((one) => typeof one === 'string');
}
