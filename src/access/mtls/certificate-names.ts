import {
  DerError,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  SEQUENCE,
  SET,
  derElements,
  oidText,
  onlyElement,
} from '../der.ts';
import type { DerElement } from '../der.ts';

/** One attribute of a name, such as a common name. */
export interface NameAttribute {
  /** Dotted. */
  readonly oid: string;
  /** `null` for a value that is no text. */
  readonly text: string | null;
  /** The value as it is encoded. */
  readonly der: Buffer;
}

/** Who a certificate is about (RFC 5280 sections 4.1.2.6 and 4.2.1.6). */
export interface CertificateNames {
  /** In the order of the certificate. */
  readonly subject: readonly NameAttribute[];
  readonly emails: readonly string[];
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
}

const VERSION_TAG = 0xa0;
const EXTENSIONS_TAG = 0xa3;
const SUBJECT_ALT_NAME = '2.5.29.17';
const EMAIL_TAG = 0x81;
const DNS_TAG = 0x82;
const URI_TAG = 0x86;

/**
 * Reads the names of a certificate that the handshake has verified. From its bytes, since Node's texts of names lose
 * the order of the parts and have to be taken apart again. Throws `DerError`.
 */
export function certificateNames(der: Buffer): CertificateNames {
  const [body] = derElements(onlyElement(der, SEQUENCE).content);
  if (body?.tag !== SEQUENCE) throw new DerError('the certificate has no body');
  const fields = derElements(body.content);
  const start = fields[0]?.tag === VERSION_TAG ? 1 : 0;
  // serialNumber, signature, issuer, validity, subject
  const subject = fields[start + 4];
  if (subject?.tag !== SEQUENCE) throw new DerError('the certificate has no subject');
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS_TAG);
  return { subject: attributesOf(subject), ...alternativeNames(extensions) };
}

function attributesOf(name: DerElement): NameAttribute[] {
  return derElements(name.content).flatMap((set) => {
    if (set.tag !== SET) throw new DerError('a name is no sequence of sets');
    return derElements(set.content).map((pair) => {
      const [type, value] = derElements(pair.content);
      if (type?.tag !== OBJECT_IDENTIFIER || value === undefined)
        throw new DerError('an attribute has no value');
      return { oid: oidText(type.content), text: textOf(value), der: value.whole };
    });
  });
}

/** The texts of the string types of ASN.1 that names use. */
function textOf({ tag, content }: DerElement): string | null {
  switch (tag) {
    case 0x0c: // UTF8String
      return decoded('utf-8', content);
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x16: // IA5String
      return content.every((byte) => byte < 0x80) ? content.toString('latin1') : null;
    case 0x14: // TeletexString, in practice Latin 1
      return content.toString('latin1');
    case 0x1e: // BMPString
      return content.length % 2 === 0 ? decoded('utf-16be', content) : null;
    default:
      return null;
  }
}

function decoded(encoding: 'utf-8' | 'utf-16be', content: Buffer): string | null {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    // Not a text of this encoding, and so no name.
    return null;
  }
}

function alternativeNames(extensions: DerElement | undefined): Omit<CertificateNames, 'subject'> {
  const names = { emails: [] as string[], dnsNames: [] as string[], uris: [] as string[] };
  const value = extensions === undefined ? null : extensionValue(extensions, SUBJECT_ALT_NAME);
  if (value === null) return names;
  for (const { tag, content } of derElements(onlyElement(value, SEQUENCE).content)) {
    const list = { [EMAIL_TAG]: names.emails, [DNS_TAG]: names.dnsNames, [URI_TAG]: names.uris }[tag];
    // All three are IA5String: ASCII. Others are left out, at their place, so that an index keeps its meaning.
    list?.push(content.every((byte) => byte < 0x80) ? content.toString('latin1') : '');
  }
  return names;
}

function extensionValue(extensions: DerElement, oid: string): Buffer | null {
  for (const extension of derElements(onlyElement(extensions.content, SEQUENCE).content)) {
    const parts = derElements(extension.content);
    const value = parts.at(-1);
    if (parts[0]?.tag !== OBJECT_IDENTIFIER || oidText(parts[0].content) !== oid) continue;
    if (value?.tag !== OCTET_STRING) throw new DerError('an extension has no value');
    return value.content;
  }
  return null;
}
