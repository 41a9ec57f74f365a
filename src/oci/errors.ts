/**
 * Every error the registry answers with, in one table: code, HTTP status, message.
 * The codes of the first group are those of the distribution specification, section "Error Codes";
 * the second group is ours, formed by the same rule (upper case letters and underscores).
 */
const TABLE = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: 'manifest references a blob or manifest unknown to registry',
  },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },

  NOT_FOUND: { status: 404, message: 'no such resource' },
  METHOD_NOT_ALLOWED: { status: 405, message: 'the method is not allowed for this resource' },
  REQUEST_INVALID: { status: 400, message: 'the request is not well formed' },
  REQUEST_TIMEOUT: { status: 408, message: 'the request body did not make progress in time' },
  RANGE_INVALID: { status: 416, message: 'the requested range cannot be satisfied' },
  INSUFFICIENT_STORAGE: { status: 507, message: 'the registry has not enough free space to accept this' },
  CONTENT_CORRUPT: { status: 500, message: 'the stored content is damaged' },
  UNAVAILABLE: { status: 503, message: 'the registry cannot serve this at the moment, try again' },
  INTERNAL: { status: 500, message: 'internal error' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof TABLE;

/** All codes with their status and message, for the error page of the documentation. */
export const ERROR_TABLE: Readonly<Record<ErrorCode, { status: number; message: string }>> = TABLE;

export type ErrorDetail = Readonly<Record<string, string | number | readonly string[]>>;

export interface RegistryErrorOptions {
  /** Facts for the client: which digest, which tag. Never a path of the server or a secret. */
  detail?: ErrorDetail;
  /** Replaces the table's status where one route differs (zot: 405 for a delete of something in use). */
  status?: number;
  /** Replaces the table's message where a better one can be given. */
  message?: string;
  retryAfterSeconds?: number;
  /** Headers of the answer, such as the challenge of a 401. */
  headers?: Readonly<Record<string, string | readonly string[]>>;
  cause?: unknown;
}

/** A refusal or fault with a code of the table. Absence is `null`, not this; a bug is an assertion. */
export class RegistryError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: ErrorDetail | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[]>> | undefined;

  constructor(code: ErrorCode, options: RegistryErrorOptions = {}) {
    super(options.message ?? TABLE[code].message, { cause: options.cause });
    this.name = 'RegistryError';
    this.code = code;
    this.status = options.status ?? TABLE[code].status;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers;
  }
}
