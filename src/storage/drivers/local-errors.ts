import { StorageError } from '../driver.ts';
import type { StorageFault } from '../driver.ts';

const FAULTS: Readonly<Record<string, StorageFault>> = {
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  EEXIST: 'exists',
  ENOTEMPTY: 'exists',
  EISDIR: 'exists',
  ELOOP: 'exists',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENAMETOOLONG: 'invalid',
  EINVAL: 'invalid',
  EMLINK: 'invalid',
};

/** The system's error code of a failed call, or '' when it is no system error. */
export function systemCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return '';
}

/** Translates a failed call of the file system once, here; `path` is relative to the root. */
export function localError(error: unknown, path: string): StorageError {
  if (error instanceof StorageError) return error;
  const code = systemCode(error);
  return new StorageError(FAULTS[code] ?? 'unavailable', path, {
    cause: error,
    message: `${code || 'error'} at ${path}`,
  });
}

/** Whether a failed call says that nothing is there; a link that leads back to itself leads nowhere. */
export function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error));
}
