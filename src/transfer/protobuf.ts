import { TransferRefusal } from './refusal.ts';

/** Fields of a message by number: numbers as they are, texts and messages as bytes; repeated ones in their order. */
export type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

/** Takes a protobuf message apart (Protocol Buffers, "Encoding"). Throws `TransferRefusal` when it is none. */
export function readFields(message: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  for (let at = 0; at < message.length;) {
    const tag = varintAt(message, at);
    const start = at + tag.sizeBytes;
    const field = fieldAt(message, start, Number(tag.value & 7n));
    const number = Number(tag.value >> 3n);
    fields.set(number, [...(fields.get(number) ?? []), field.value]);
    at = start + field.sizeBytes;
  }
  return fields;
}

/** The last number of a field, as the format asks; `null` when it is not there. */
export function numberOf(fields: Fields, field: number): bigint | null {
  return fields.get(field)?.findLast((value) => typeof value === 'bigint') ?? null;
}

/** The last text or message of a field; `null` when it is not there. */
export function bytesOf(fields: Fields, field: number): Buffer | null {
  return listOf(fields, field).at(-1) ?? null;
}

/** All texts or messages of a repeated field. */
export function listOf(fields: Fields, field: number): Buffer[] {
  return (fields.get(field) ?? []).filter((value) => typeof value !== 'bigint');
}

function fieldAt(message: Buffer, at: number, type: number): { value: bigint | Buffer; sizeBytes: number } {
  if (type === VARINT) return varintAt(message, at);
  const length = type === BYTES ? varintAt(message, at) : { value: 0n, sizeBytes: 0 };
  const sizes: Readonly<Record<number, number>> = {
    [FIXED_64]: 8,
    [FIXED_32]: 4,
    [BYTES]: Number(length.value),
  };
  const size = sizes[type];
  const start = at + length.sizeBytes;
  if (size === undefined || start + size > message.length) throw damaged();
  return { value: message.subarray(start, start + size), sizeBytes: length.sizeBytes + size };
}

function varintAt(message: Buffer, at: number): { value: bigint; sizeBytes: number } {
  let value = 0n;
  for (let size = 0; size < 10; size += 1) {
    const byte = message[at + size];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * size);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), sizeBytes: size + 1 };
  }
  throw damaged();
}

function damaged(): TransferRefusal {
  return new TransferRefusal('an entry of the database is damaged');
}
