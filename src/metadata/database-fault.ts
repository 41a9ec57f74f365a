/**
 * What a database says went wrong, as far as others have to know: no room on its disk, a file that is useless, or
 * something that may pass.
 */
export type DatabaseFault = 'full' | 'damaged' | 'unavailable';

/** By SQLite's primary result codes (sqlite3.h, "Result Codes"). */
const FAULTS: Readonly<Record<number, DatabaseFault>> = {
  5: 'unavailable', // SQLITE_BUSY
  6: 'unavailable', // SQLITE_LOCKED
  7: 'unavailable', // SQLITE_NOMEM
  8: 'unavailable', // SQLITE_READONLY
  10: 'unavailable', // SQLITE_IOERR
  11: 'damaged', // SQLITE_CORRUPT
  13: 'full', // SQLITE_FULL
  14: 'unavailable', // SQLITE_CANTOPEN
  26: 'damaged', // SQLITE_NOTADB
};

/** SQLITE_IOERR_SHMSIZE: the file that processes share could not be given its size. */
const NO_ROOM_TO_SHARE = 10 | (19 << 8);

/** Whether a database has no room left, by the error or by what caused it. */
export function isFullDatabase(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return databaseFault(error) === 'full' || databaseFault(cause) === 'full';
}

/** `null`: the error did not come from a database, or is a mistake in how it was used. */
export function databaseFault(error: unknown): DatabaseFault | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  const code = Number(error.errcode);
  return code === NO_ROOM_TO_SHARE ? 'full' : (FAULTS[code & 0xff] ?? null);
}
