/**
 * Who changed or tried what: JSON lines in a file of their own (`log.audit`), with zot's fields, whatever the level of
 * the log is. Several processes append to one file: each line is one write at its end.
 */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import { openLines, requireWritable } from './log-lines.ts';

/** A request that changed something or was refused. */
export interface AuditedRequest {
  /** Address and port of the peer; of a client behind a trusted proxy the address alone. */
  readonly clientIP: string;
  /** The user, `anonymous` for nobody. */
  readonly subject: string;
  /** The HTTP method. */
  readonly action: string;
  /** Path and query, secrets masked. */
  readonly object: string;
  readonly status: number;
  readonly requestId: string;
  readonly proxyIP?: string;
  /** How the user is known: `htpasswd`, `apikey`, `oidc`... */
  readonly method?: string;
  /** The name that was offered with wrong credentials. */
  readonly claimed?: string;
  /** Why it was refused; never said to the client. */
  readonly reason?: string;
}

/** Something that is no request, or more than one: a sign-in, a token that was given out, a changed policy. */
export interface AuditedEvent {
  readonly action: string;
  readonly subject: string;
  readonly object: string;
  readonly outcome: 'allowed' | 'refused';
  /** The address of the client, without port; absent where no client did it. */
  readonly clientIP?: string;
  readonly reason?: string;
  readonly digest?: string;
}

/** Content that collection or retention removed. */
export interface AuditedRemoval {
  readonly module: 'gc' | 'retention' | 'scrub' | 'sync';
  readonly repository: string;
  readonly reason: string;
  readonly digest?: string;
  readonly reference?: string;
  readonly tag?: string;
  /** It was decided only. */
  readonly 'dry-run'?: boolean;
}

export interface AuditLog {
  request(request: AuditedRequest): void;
  event(event: AuditedEvent): void;
  removal(removal: AuditedRemoval): void;
  /** Opens the file again under its name, after a rotation. */
  reopen(): void;
  /** Writes what is still gathered; never fails, and takes a second at most. */
  flush(): Promise<void>;
}

const nothing = (): void => undefined;

/** Where no audit file is configured. */
export const NO_AUDIT: AuditLog = {
  request: nothing,
  event: nothing,
  removal: nothing,
  reopen: nothing,
  flush: () => Promise.resolve(),
};

/** zot's words, which users look for. */
const REQUEST_MESSAGE = 'HTTP API Audit';

/** A path of '' is no audit. Throws `StartError` when the file cannot be written: no server starts without it. */
export function openAuditLog(path: string, process?: string): AuditLog {
  if (path === '') return NO_AUDIT;
  requireWritable(path, 'log.audit');
  const lines = openLines({ output: path, atOnce: true, name: 'the audit log' });
  const logger = pino(
    {
      messageKey: 'message',
      base: process === undefined ? null : { process },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines.destination as DestinationStream,
  );
  return {
    request: (request) => logger.info({ component: 'session', ...request }, REQUEST_MESSAGE),
    event: (event) => logger.info({ component: 'access', ...event }, 'access'),
    removal: (removal) => logger.info({ ...removal, decision: 'delete' }, 'removed'),
    reopen: () => lines.destination.reopen(),
    flush: () => lines.flush(),
  };
}
