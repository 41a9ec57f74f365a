import { RegistryError } from '#oci/errors';
import { StorageError, fromDatabase } from '#registry';
import { ClientGone } from './body.ts';

/** An error as it is answered (distribution-spec, "Error Codes"). */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds: number | null;
  /** Headers of the answer, such as the challenge of a 401. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** What the log gets to know beyond the answer; `null` for a refusal that says everything itself. */
  readonly cause: unknown;
}

/** The one place that turns an error into an answer. Unknown errors become 500 and are told to the log alone. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RegistryError) return fromRegistry(error, error.status >= 500 ? error : null);
  if (error instanceof StorageError) return fromRegistry(fromStorage(error), error);
  if (error instanceof ClientGone) {
    return fromRegistry(new RegistryError('REQUEST_INVALID', { message: error.message }), null);
  }
  const status = clientStatus(error);
  if (status !== null) {
    const message = error instanceof Error ? error.message : 'bad request';
    return fromRegistry(new RegistryError('REQUEST_INVALID', { status, message }), null);
  }
  return fromRegistry(fromDatabase(error) ?? new RegistryError('INTERNAL'), error);
}

function fromRegistry(error: RegistryError, cause: unknown): Problem {
  const { status, code, message, detail, retryAfterSeconds, headers } = error;
  const fallback = status === 503 ? 1 : null;
  return {
    status,
    code,
    message,
    detail: { description: message, ...detail },
    retryAfterSeconds: retryAfterSeconds ?? fallback,
    headers: headers ?? {},
    cause,
  };
}

function fromStorage(error: StorageError): RegistryError {
  switch (error.fault) {
    case 'full':
      return new RegistryError('INSUFFICIENT_STORAGE', { retryAfterSeconds: 60, cause: error });
    case 'invalid':
    case 'exists':
      return new RegistryError('NAME_INVALID', {
        message: 'the storage cannot hold this name',
        cause: error,
      });
    case 'corrupt':
      return new RegistryError('CONTENT_CORRUPT', { cause: error });
    case 'missing':
    case 'denied':
    case 'unavailable':
    case 'conflict':
      return new RegistryError('UNAVAILABLE', { retryAfterSeconds: 5, cause: error });
  }
}

/** The status of an error of the HTTP framework that blames the client; `null` for any other error. */
function clientStatus(error: unknown): number | null {
  if (!(error instanceof Error) || !('statusCode' in error)) return null;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : null;
}

/** The JSON of an error, `<`, `>` and `&` escaped so that no browser reads it as markup. */
export function problemBody(problem: Pick<Problem, 'code' | 'message' | 'detail'>): string {
  const { code, message, detail } = problem;
  const json = JSON.stringify({ errors: [{ code, message, detail }] });
  return json.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}
