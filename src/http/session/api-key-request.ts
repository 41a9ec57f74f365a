import { RegistryError } from '#oci/errors';

export interface AskedApiKey {
  readonly label: string;
  readonly scopes: readonly string[];
  /** Milliseconds since the epoch; `null`: never. */
  readonly expiresMs: number | null;
}

const LABEL_LENGTH_MAX = 256;
const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Reads the body of a request for a key: `{"label", "scopes", "expirationDate"}`, each of which may be left out.
 * Throws `REQUEST_INVALID` with what is wrong.
 */
export function readApiKeyRequest(body: Buffer, nowMs: number): AskedApiKey {
  const { label = '', scopes = [], expirationDate = '' } = readObject(body);
  if (typeof label !== 'string' || label.length > LABEL_LENGTH_MAX) {
    throw invalid(`label is no text of at most ${LABEL_LENGTH_MAX} characters`);
  }
  return { label, scopes: readScopes(scopes), expiresMs: readExpiry(expirationDate, nowMs) };
}

function readObject(body: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw invalid('the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('the body is not a JSON object');
  return { ...value };
}

function readScopes(scopes: unknown): readonly string[] {
  if (scopes === null) return [];
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string')) {
    throw invalid('scopes is no list of texts');
  }
  return scopes;
}

function readExpiry(text: unknown, nowMs: number): number | null {
  if (text === '' || text === null) return null;
  const expiresMs = typeof text === 'string' ? timeOf(text) : null;
  if (expiresMs === null) throw invalid('expirationDate is no time such as 2030-12-31T23:59:59Z');
  if (expiresMs <= nowMs) throw invalid('expirationDate is in the past');
  return expiresMs;
}

/** RFC 3339; `null` for anything else, such as the 30th of February, which `Date` would take for the 2nd of March. */
function timeOf(text: string): number | null {
  const [, year, month, day] = TIME.exec(text) ?? [];
  const ms = Date.parse(text.toUpperCase());
  if (day === undefined || Number.isNaN(ms)) return null;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day) ? ms : null;
}

function invalid(message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', { message });
}
