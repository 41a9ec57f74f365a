/** The form of tar archives: POSIX.1-2017 "pax Interchange Format", with GNU's long names and large numbers. */
import { TransferRefusal } from './refusal.ts';

export const BLOCK_BYTES = 512;

/** Kinds of entries by their type flag; `other` are devices, pipes and what only one vendor knows. */
export type TarKind = 'file' | 'folder' | 'link' | 'sparse' | 'other';

/** What a header block says by itself, before extended headers have their say. */
export interface TarHeader {
  readonly name: string;
  readonly sizeBytes: number;
  readonly flag: string;
}

/** Fields of a header block: offset and length. */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const UID = [108, 8] as const;
const GID = [116, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const FLAG_AT = 156;
const MAGIC_AT = 257;
const PREFIX = [345, 155] as const;

/** The largest size that eleven octal digits hold. */
const OCTAL_SIZE_MAX = 0o77777777777;

const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'link',
  '5': 'folder',
  S: 'sparse',
};

export function tarKind(flag: string): TarKind {
  return KINDS[flag] ?? 'other';
}

/** Reads a header block; `null` for a block of zeros, which ends an archive. Throws when it is none. */
export function readTarHeader(block: Buffer, position: number): TarHeader | null {
  if (block.every((byte) => byte === 0)) return null;
  const problem = (what: string): TransferRefusal =>
    new TransferRefusal(`this is no tar archive, or it is damaged: ${what} at byte ${position}`);
  const sum = readNumber(block, CHECKSUM);
  if (sum === null || !hasSum(block, sum)) throw problem('a header has the wrong checksum');
  const sizeBytes = readNumber(block, SIZE);
  if (sizeBytes === null) throw problem('a header has no valid size');
  const magic = block.toString('latin1', MAGIC_AT, MAGIC_AT + 6);
  const prefix = magic === 'ustar\0' ? readText(block, PREFIX) : '';
  const name = readText(block, NAME);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    sizeBytes,
    flag: String.fromCharCode(block[FLAG_AT] ?? 0),
  };
}

function readText(block: Buffer, [start, length]: readonly [number, number]): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

/** Octal digits, or, with the first bit set, the number itself (GNU). `null` where it is neither, or too large. */
function readNumber(block: Buffer, [start, length]: readonly [number, number]): number | null {
  const field = block.subarray(start, start + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    // 0xff begins a negative number.
    if (first !== 0x80) return null;
    const value = BigInt(`0x${field.subarray(1).toString('hex')}`);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(value);
  }
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .replace(/^ +/, '');
  if (text === '') return 0;
  return /^[0-7]+$/.test(text) ? Number(`0o${text}`) : null;
}

/** Old programs summed signed bytes. */
function hasSum(block: Buffer, expected: number): boolean {
  let unsigned = 0;
  let signed = 0;
  for (const [at, byte] of block.entries()) {
    const isSum = at >= CHECKSUM[0] && at < CHECKSUM[0] + CHECKSUM[1];
    const counted = isSum ? 0x20 : byte;
    unsigned += counted;
    signed += counted > 127 ? counted - 256 : counted;
  }
  return expected === unsigned || expected === signed;
}

/** Reads the records of an extended header: `<length> <key>=<value>\n`, the length that of the whole record. */
export function readPaxRecords(bytes: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space);
    const length = /^[1-9][0-9]{0,8}$/.test(digits) ? Number(digits) : 0;
    const record = bytes.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (at + length > bytes.length || bytes[at + length - 1] !== 0x0a || equals < 1)
      throw new TransferRefusal('the archive is damaged: an extended header cannot be read');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

export interface TarEntryToWrite {
  /** With `/` at the end for a folder. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** The header blocks of an entry. Equal entries give equal bytes: no owner, no time. */
export function tarHeaderBlocks(entry: TarEntryToWrite): Buffer {
  const records: string[] = [];
  if (Buffer.byteLength(entry.name) > NAME[1]) records.push(paxRecord('path', entry.name));
  if (entry.sizeBytes > OCTAL_SIZE_MAX) records.push(paxRecord('size', String(entry.sizeBytes)));
  const own = headerBlock(entry, entry.name.endsWith('/') ? '5' : '0');
  if (records.length === 0) return own;
  const body = Buffer.from(records.join(''));
  const extended = headerBlock({ name: 'PaxHeaders/entry', sizeBytes: body.length }, 'x');
  return Buffer.concat([extended, body, Buffer.alloc(paddingBytes(body.length)), own]);
}

/** What fills the last block of a content. */
export function paddingBytes(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function headerBlock({ name, sizeBytes }: TarEntryToWrite, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, NAME[0], NAME[1], 'utf8');
  writeOctal(block, MODE, flag === '5' ? 0o755 : 0o644);
  writeOctal(block, UID, 0);
  writeOctal(block, GID, 0);
  writeOctal(block, SIZE, sizeBytes > OCTAL_SIZE_MAX ? 0 : sizeBytes);
  writeOctal(block, MTIME, 0);
  block.write(flag, FLAG_AT, 'latin1');
  block.write('ustar\x0000', MAGIC_AT, 'latin1');
  block.fill(0x20, CHECKSUM[0], CHECKSUM[0] + CHECKSUM[1]);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, CHECKSUM[0], 'latin1');
  return block;
}

function writeOctal(block: Buffer, [start, length]: readonly [number, number], value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), start, 'latin1');
}
