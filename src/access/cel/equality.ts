import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';

/** Equality of CEL values: numbers by value whatever their type, lists and maps by their members. */
export function celEqual(one: unknown, other: unknown): boolean {
  const [left, right] = [plain(one), plain(other)];
  if (left === right) return true;
  // Two equal values of the types int and double are not identical in JavaScript.
  if (isNumber(left)) return isNumber(right) && sameNumber(left, right);
  if (left instanceof Date) return right instanceof Date && left.getTime() === right.getTime();
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.compare(left, right) === 0;
  if (Array.isArray(left)) return Array.isArray(right) && sameMembers(left, right);
  return isMap(left) && isMap(right) && sameEntries(entriesOf(left), entriesOf(right));
}

function plain(value: unknown): unknown {
  return value instanceof UnsignedInt ? value.value : value;
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function sameMembers(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((member, at) => celEqual(member, right[at]));
}

/** A double holds large whole numbers only roughly. */
function sameNumber(left: number | bigint, right: number | bigint): boolean {
  if (typeof left === typeof right) return left === right;
  const [double, whole] = typeof left === 'number' ? [left, right] : [right, left];
  return Number.isInteger(double) && BigInt(double) === whole;
}

function isMap(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

function entriesOf(value: object): [unknown, unknown][] {
  return value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
}

function sameEntries(left: [unknown, unknown][], right: [unknown, unknown][]): boolean {
  if (left.length !== right.length) return false;
  return left.every(([key, value]) =>
    right.some((entry) => celEqual(key, entry[0]) && celEqual(value, entry[1])),
  );
}
