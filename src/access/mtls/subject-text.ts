import type { NameAttribute } from './certificate-names.ts';

/**
 * The attributes with short names, in the order of zot (of Go's library, that is): the last stands first in
 * the text.
 */
const KNOWN: readonly (readonly [oid: string, name: string])[] = [
  ['2.5.4.6', 'C'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.7', 'L'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.17', 'POSTALCODE'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'SERIALNUMBER'],
];

export const COMMON_NAME = '2.5.4.3';
/** Of several values of these only the last one counts. */
const SINGLE: ReadonlySet<string> = new Set([COMMON_NAME, '2.5.4.5']);

const UTF8_STRING = 0x0c;
const PRINTABLE_STRING = 0x13;
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/**
 * The subject as zot's policies name it: the string form of RFC 2253, but with the attributes in a fixed order rather
 * than that of the certificate, several values of one attribute joined by `+`, and those without a short name last,
 * as their number and the hexadecimal form of their value.
 */
export function subjectText(subject: readonly NameAttribute[]): string {
  const known = KNOWN.map(([oid, name]) => {
    const values = subject.filter((attribute) => attribute.oid === oid);
    const counting = SINGLE.has(oid) ? values.slice(-1) : values;
    return counting.map((attribute) => `${name}=${escaped(attribute)}`).join('+');
  });
  const others = subject.filter(({ oid }) => KNOWN.every(([knownOid]) => knownOid !== oid));
  const texts = [...others.map((attribute) => `${attribute.oid}=${hexadecimal(attribute)}`), ...known];
  return texts
    .filter((text) => text !== '')
    .toReversed()
    .join(',');
}

/** RFC 2253 section 2.4. */
function escaped(attribute: NameAttribute): string {
  const { text } = attribute;
  return text === null ? hexadecimal(attribute) : text.replace(/^[ #]|[,+"\\<>;]| $/g, '\\$&');
}

/** Texts are encoded anew, in the simplest string type that holds them, whatever type the certificate has. */
function hexadecimal({ text, der }: NameAttribute): string {
  if (text === null) return `#${der.toString('hex')}`;
  const content = Buffer.from(text);
  const tag = PRINTABLE.test(text) ? PRINTABLE_STRING : UTF8_STRING;
  return `#${Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content]).toString('hex')}`;
}

/** DER, section 8.1.3 of X.690. */
function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >>> 8, length & 0xff];
}
