import { databaseFault } from '#metadata';
import { RegistryError } from '#oci/errors';

/** What a fault of a database is to a client; `null` for any other error. */
export function fromDatabase(error: unknown): RegistryError | null {
  switch (databaseFault(error)) {
    case 'full':
      return new RegistryError('INSUFFICIENT_STORAGE', { retryAfterSeconds: 60, cause: error });
    case 'damaged':
    case 'unavailable':
      return new RegistryError('UNAVAILABLE', { retryAfterSeconds: 5, cause: error });
    case null:
      return null;
  }
}
