import { RegistryError, StorageError, fromDatabase } from '#registry';
import type { RegistryErrorOptions, ErrorCode } from '#registry';

/** An error on its way between processes. */
export type WireError =
  | { readonly kind: 'registry'; readonly code: ErrorCode; readonly options: RegistryErrorOptions }
  | {
      readonly kind: 'storage';
      readonly fault: StorageError['fault'];
      readonly path: string;
      readonly message: string;
    }
  | { readonly kind: 'other'; readonly message: string; readonly stack: string };

/** The error in plain data; causes stay in the log of the process that met them. */
export function toWire(error: unknown): WireError {
  if (error instanceof RegistryError) {
    const { code, status, message, detail, retryAfterSeconds, headers } = error;
    return {
      kind: 'registry',
      code,
      options: {
        status,
        message,
        ...(detail === undefined ? {} : { detail }),
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        ...(headers === undefined ? {} : { headers }),
      },
    };
  }
  if (error instanceof StorageError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return { kind: 'storage', fault: error.fault, path: error.path, message: `${error.message}${cause}` };
  }
  const database = fromDatabase(error);
  if (database !== null) return toWire(database);
  const known = error instanceof Error;
  return {
    kind: 'other',
    message: known ? error.message : String(error),
    stack: known ? (error.stack ?? '') : '',
  };
}

export function fromWire(wire: WireError): Error {
  if (wire.kind === 'registry') return new RegistryError(wire.code, wire.options);
  if (wire.kind === 'storage') return new StorageError(wire.fault, wire.path, { message: wire.message });
  return new Error(`the keeper failed: ${wire.message}`, { cause: wire.stack });
}
