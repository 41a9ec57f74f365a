/** One element of a DER encoding (X.690 section 8.1). */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly whole: Buffer;
}

/** The bytes are no DER of the expected form. */
export class DerError extends Error {}

export const SEQUENCE = 0x30;
export const SET = 0x31;
export const OBJECT_IDENTIFIER = 0x06;
export const OCTET_STRING = 0x04;

/** The elements that stand one after the other in some bytes. Throws `DerError`. */
export function derElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const element = elementAt(bytes, at);
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

function elementAt(bytes: Buffer, at: number): DerElement {
  const tag = byteAt(bytes, at);
  // No part of a certificate that is read here has a tag of several bytes.
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
  const first = byteAt(bytes, at + 1);
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 4) throw new DerError('a length of this form is not DER');
  let length = first;
  if (lengthBytes > 0) {
    length = 0;
    for (let index = 0; index < lengthBytes; index += 1)
      length = length * 256 + byteAt(bytes, at + 2 + index);
  }
  const start = at + 2 + lengthBytes;
  if (start + length > bytes.length) throw new DerError('an element reaches beyond the end');
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) };
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new DerError('an element ends early');
  return byte;
}

/** The only element in some bytes, which must have this tag. */
export function onlyElement(bytes: Buffer, tag: number): DerElement {
  const [element, ...more] = derElements(bytes);
  if (element === undefined || element.tag !== tag || more.length > 0)
    throw new DerError('another element stands here');
  return element;
}

/** An object identifier in dotted form (X.690 section 8.19). */
export function oidText(content: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    arcs.push(value);
    value = 0;
  }
  const [head = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(head / 40));
  return [first, head - first * 40, ...rest].join('.');
}
