import type { NameAttribute } from './certificate-names.ts';

/** The attributes with short names, in the order in which zot writes them: the last stands first in the text. */
const KNOWN: readonly (readonly [oid: string, name: string])[] = [
  ['2.5.4.6', 'C'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.17', 'POSTALCODE'],
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'SERIALNUMBER'],
];

export const COMMON_NAME = '2.5.4.3';

/**
 * The subject as zot's policies name it: the string form of RFC 2253, but with the attributes in a fixed order rather
 * than that of the certificate, several values of one attribute joined by `+`, and those without a short name last,
 * as their number and the hexadecimal form of their value.
 */
export function subjectText(subject: readonly NameAttribute[]): string {
  const known = KNOWN.map(([oid, name]) =>
    subject
      .filter((attribute) => attribute.oid === oid)
      .map((attribute) => `${name}=${escaped(attribute)}`)
      .join('+'),
  );
  const others = subject.filter(({ oid }) => KNOWN.every(([knownOid]) => knownOid !== oid));
  const texts = [...others.map(({ oid, der }) => `${oid}=#${der.toString('hex')}`), ...known];
  return texts
    .filter((text) => text !== '')
    .toReversed()
    .join(',');
}

/** RFC 2253 section 2.4. */
function escaped({ text, der }: NameAttribute): string {
  return text === null ? `#${der.toString('hex')}` : text.replace(/^[ #]|[,+"\\<>;]| $/g, '\\$&');
}
