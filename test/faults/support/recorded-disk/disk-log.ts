import { openSync, readSync, closeSync, statSync, writeSync } from 'node:fs';

/** What a disk was told: bytes for a place, or to make durable all that it was told before. */
export interface DiskEvent {
  readonly kind: 'write' | 'flush';
  readonly position: number;
  readonly length: number;
  /** Where its bytes are in the log. */
  readonly at: number;
  /** The size of the log when the disk had answered. */
  readonly logEnd: number;
}

const WRITE = 1;
const HEAD_BYTES = 13;

/** Which parts of a write reach the disk. */
export interface Tearing {
  /** What the disk writes as a whole or not at all. */
  readonly sectorBytes: number;
  readonly keeps: () => boolean;
}

/** Every event of a log, as `fuse-disk.ts` writes it down. */
export function readLog(file: string): readonly DiskEvent[] {
  const { size } = statSync(file);
  const log = openSync(file, 'r');
  const head = Buffer.alloc(HEAD_BYTES);
  const events: DiskEvent[] = [];
  try {
    for (let at = 0; at + HEAD_BYTES <= size;) {
      readSync(log, head, 0, HEAD_BYTES, at);
      const length = head.readUInt32LE(9);
      const kind = head.readUInt8(0) === WRITE ? 'write' : 'flush';
      const logEnd = at + HEAD_BYTES + length;
      events.push({ kind, position: Number(head.readBigUInt64LE(1)), length, at: at + HEAD_BYTES, logEnd });
      at = logEnd;
    }
    return events;
  } finally {
    closeSync(log);
  }
}

/** Writes what an event wrote into an image: all of it, or the sectors that are chosen to be kept. */
export function applyWrite(
  files: { readonly log: number; readonly image: number },
  event: DiskEvent,
  tearing: Tearing | null = null,
): void {
  const bytes = Buffer.alloc(event.length);
  readSync(files.log, bytes, 0, event.length, event.at);
  if (tearing === null) {
    writeSync(files.image, bytes, 0, event.length, event.position);
    return;
  }
  for (let from = 0; from < event.length; from += tearing.sectorBytes) {
    const length = Math.min(tearing.sectorBytes, event.length - from);
    if (tearing.keeps()) writeSync(files.image, bytes, from, length, event.position + from);
  }
}
